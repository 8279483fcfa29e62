-- Gives everything back at once instead of when the sign of life expires. ARGV: our name.
-- KEYS: our sign of life, then per queue its stream and its lease.
redis.call('DEL', KEYS[1])
for i = 2, #KEYS, 2 do
  if redis.call('GET', KEYS[i + 1]) == ARGV[1] then
    redis.call('DEL', KEYS[i + 1])
  end
  if redis.call('EXISTS', KEYS[i]) == 1 and #redis.call('XPENDING', KEYS[i], 'ronda', '-', '+', 1, ARGV[1]) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[i], 'ronda', ARGV[1])
  end
end
return 1
