-- Appends messages, in order. KEYS: one stream per message. ARGV: the length at which a stream is full, then per message its id and body.
-- Answers per message: 1 = appended, 0 = no such queue, -1 = the queue is full.
local full, answers = tonumber(ARGV[1]), {}
for i, stream in ipairs(KEYS) do
  if redis.call('EXISTS', stream) == 0 then
    answers[i] = 0
  elseif redis.call('XLEN', stream) >= full then
    answers[i] = -1
  else
    redis.call('XADD', stream, '*', 'id', ARGV[2 * i], 'body', ARGV[2 * i + 1])
    answers[i] = 1
  end
end
return answers
