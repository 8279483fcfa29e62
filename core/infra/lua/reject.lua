-- Moves one delivery to the dead letters. KEYS: its stream, the dead letters' stream. ARGV: entry, id, body, queue, reason.
-- Answers 0 when there is no queue for dead letters; then the delivery stays where it is.
if redis.call('EXISTS', KEYS[2]) == 0 then
  return 0
end
redis.call('XADD', KEYS[2], '*', 'id', ARGV[2], 'body', ARGV[3], 'queue', ARGV[4], 'reason', ARGV[5])
redis.call('XACK', KEYS[1], 'ronda', ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
