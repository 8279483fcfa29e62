-- Moves one delivery to another queue. KEYS: its stream, the other one. ARGV: entry, id, body, then names and values to add.
-- Answers 0 when there is no such queue; then the delivery stays where it is.
if redis.call('EXISTS', KEYS[2]) == 0 then
  return 0
end
redis.call('XADD', KEYS[2], '*', 'id', ARGV[2], 'body', ARGV[3], unpack(ARGV, 4))
redis.call('XACK', KEYS[1], 'ronda', ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
