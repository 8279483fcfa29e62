-- Switches every process to a state that was built beside the one in use. A server that was restarted meanwhile may have lost
-- some of it, so nothing is published then. KEYS: building, generation, run, until. ARGV: run id of when it was begun; how far it goes.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if run ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 0 then
  return redis.error_reply('STALEGEN the feature state was lost while it was built')
end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('PERSIST', KEYS[2])
redis.call('SET', KEYS[3], run)
redis.call('SET', KEYS[4], ARGV[2])
