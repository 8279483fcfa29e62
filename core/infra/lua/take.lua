-- Gives a consumer what it may have now: first what came back from others, then what is new. One atomic step, so two
-- consumers can never hold one single-active queue.
-- KEYS: our sign of life, the dead letters' stream, then per queue its stream and its lease.
-- ARGV: our name, time to live in ms, prefix of signs of life, most, prefetch, then per queue: its name, 1 = single active,
--       delivery limit (-1 = none).
-- Answers {deliveries, held}: {queue's number, entry, fields, redeliveries} each; and {queue's number, newest entry} for
-- every queue we may take from.
local me, ttl, alive = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local left, prefetch = tonumber(ARGV[4]), tonumber(ARGV[5])
local deliveries, held = {}, {}
local PAGE = 100

local function refresh(key, value)
  if redis.call('PTTL', key) < ttl * 0.7 then
    redis.call('SET', key, value, 'PX', ttl)
  end
end

local function may_take(lease, single)
  if single ~= '1' then
    return true
  end
  local owner = redis.call('GET', lease)
  if owner and owner ~= me then
    return false
  end
  refresh(lease, me)
  return true
end

local function bury(stream, entry, queue)
  local found = redis.call('XRANGE', stream, entry, entry)
  if found[1] then
    if redis.call('EXISTS', KEYS[2]) == 0 then
      return
    end
    local fields = found[1][2]
    fields[#fields + 1] = 'queue'
    fields[#fields + 1] = queue
    fields[#fields + 1] = 'reason'
    fields[#fields + 1] = 'delivery_limit'
    redis.call('XADD', KEYS[2], '*', unpack(fields))
  end
  redis.call('XACK', stream, 'ronda', entry)
  redis.call('XDEL', stream, entry)
end

-- Entries whose consumer is gone or gave them back, oldest first.
local function take_returned(number, stream, queue, limit, room)
  local after, gone = '-', {}
  while room > 0 do
    local page = redis.call('XPENDING', stream, 'ronda', after, '+', PAGE)
    for _, pending in ipairs(page) do
      local entry, owner, times = pending[1], pending[2], pending[4]
      if gone[owner] == nil then
        gone[owner] = owner ~= me and redis.call('EXISTS', alive .. owner) == 0
      end
      if gone[owner] and room > 0 then
        if limit >= 0 and times > limit then
          bury(stream, entry, queue)
        else
          local claimed = redis.call('XCLAIM', stream, 'ronda', me, 0, entry)
          if claimed[1] then
            deliveries[#deliveries + 1] = {number, entry, claimed[1][2], times}
            room = room - 1
          end
        end
      end
      after = '(' .. entry
    end
    if #page < PAGE then
      break
    end
  end
  return room
end

local function take_from(number, stream, queue, limit)
  local ours, others = 0, false
  local summary = redis.call('XPENDING', stream, 'ronda')
  if summary[1] > 0 then
    for _, owner in ipairs(summary[4]) do
      if owner[1] == me then
        ours = tonumber(owner[2])
      else
        others = true
      end
    end
  end
  local room = math.min(left, prefetch - ours)
  local start = room
  if others then
    room = take_returned(number, stream, queue, limit, room)
  end
  if room > 0 then
    local fresh = redis.call('XREADGROUP', 'GROUP', 'ronda', me, 'COUNT', room, 'STREAMS', stream, '>')
    if fresh then
      for _, entry in ipairs(fresh[1][2]) do
        deliveries[#deliveries + 1] = {number, entry[1], entry[2], 0}
        room = room - 1
      end
    end
  end
  left = left - math.max(0, start - room)
end

refresh(KEYS[1], '1')
for number = 1, (#KEYS - 2) / 2 do
  local stream, lease = KEYS[1 + 2 * number], KEYS[2 + 2 * number]
  local queue, single, limit = ARGV[3 + 3 * number], ARGV[4 + 3 * number], tonumber(ARGV[5 + 3 * number])
  if may_take(lease, single) then
    take_from(number, stream, queue, limit)
    local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
    held[#held + 1] = {number, newest[1] and newest[1][1] or '0-0'}
  end
end
return {deliveries, held}
