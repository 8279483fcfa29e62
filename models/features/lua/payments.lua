-- What a payment reads of the past of its entities, and how it joins it.

local function unknown(count)
  for index = written + 1, written + count do out[index] = -1 end
  written = written + count
end

-- Readings of each entity's velocity; those of the customer's own history lie behind all of them.
local VELOCITY = 2 * #WINDOWS + #LARGEST_IN + 1
local OWN_AT = (ENTITIES + 1) * VELOCITY
local OWN = 9 + #SPIKE_WINDOWS + #LIMIT_WINDOWS

-- Records [low, high] decoded in one go: {time, total, ...}, `width` numbers each.
local function numbers_between(history, low, high, width)
  local bytes, from = history.block, (low - history.first) * history.size + 1
  if low < history.first then
    bytes, from = call('GETRANGE', history.key, low * history.size, (high + 1) * history.size - 1), 1
  end
  return {unpack_bytes('<' .. rep('d', width * (high - low + 1)), bytes, from)}
end

-- Against the customer's up to OWN_PAYMENTS payments until index `at`: count, sum, twice the median, 90th percentile, squared
-- deviations, largest; payments at about this hour, time they span, longest silence that ended in the last day.
-- Returns whether the amount is a spike.
local function own_history(history, at, lowest, time, amount)
  local count, n = min(at - lowest, OWN_PAYMENTS), OWN_AT
  if count <= 0 then
    out[n + 1] = 0
    for index = 2, 9 do out[n + index] = -1 end
    return false
  end
  local numbers = numbers_between(history, at - count, at, 4)
  local amounts, later, newer = {unpack(numbers, 1, count)}, numbers[4 * count + 2], time
  local sum = later - numbers[2]
  local near, silence = 0, -1
  for back = 1, count do
    local place = 4 * (count - back)
    local total, when = numbers[place + 2], numbers[place + 5]
    amounts[back] = later - total
    later = total
    local apart = (time - when) % DAY
    if apart <= NEAR_HOUR or apart >= DAY - NEAR_HOUR then near = near + 1 end
    if newer > time - DAY and newer - when > silence then silence = newer - when end
    newer = when
  end
  local deviations = 0
  for index = 1, count do
    local deviation = count * amounts[index] - sum
    deviations = deviations + deviation * deviation
  end
  sort(amounts)
  local median_twice = amounts[floor((count + 1) / 2)] + amounts[floor(count / 2) + 1]
  out[n + 1], out[n + 2], out[n + 3], out[n + 4] = count, sum, median_twice, amounts[floor((9 * count + 9) / 10)]
  out[n + 5], out[n + 6], out[n + 7] = deviations, amounts[count], near
  out[n + 8], out[n + 9] = numbers[4 * count + 1] - numbers[5], silence
  return count >= SPIKE_AFTER and 8 * amount > SPIKE_QUARTERS * median_twice
end

-- Counts and sums of the windows that end at index `at`, the largest amount in some of them, time since the previous payment.
-- Fills `bounds` with the last index before each window.
local function read_velocity(history, at, lowest, time, amount, bounds)
  local last, n = history.last, written
  written = n + VELOCITY
  local total, bound = last > 0 and total_at(history, at, 1) or 0, at
  for index = 1, #WINDOWS do
    local before = 0
    if last > 0 then
      bound = last_upto(history, time - WINDOWS[index], lowest, bound)
      before = total_at(history, bound, 1)
    end
    bounds[index] = bound
    out[n + 2 * index - 1] = at - bound + 1
    out[n + 2 * index] = total - before + amount
  end
  n = n + 2 * #WINDOWS
  local largest, index, later = amount, at, total
  for which = 1, #LARGEST_IN do
    local stop = max(bounds[LARGEST_IN[which]], at - OWN_PAYMENTS)
    while index > stop do
      index = index - 1
      local earlier = total_at(history, index, 1)
      if later - earlier > largest then largest = later - earlier end
      later = earlier
    end
    out[n + which] = largest
  end
  out[n + #LARGEST_IN + 1] = at > lowest and time - time_at(history, at) or -1
end

local function open_entity(key, size, time)
  local history = open_history(key, size, TAIL)
  if history.last > 0 and time - time_at(history, history.last) > FORGET then
    history.last, history.first, history.block = -1, 0, ''
  end
  return history, max(0, history.last - MOST_PAYMENTS)
end

-- Reads an entity's history if that is `asked`, which costs more than half of it, then adds the payment to it.
local function velocity(key, time, amount, asked)
  local history, lowest = open_entity(key, 16, time)
  local at = last_upto(history, time, lowest, history.last)
  if asked then read_velocity(history, at, lowest, time, amount, {}) end
  insert(history, at, time, {amount}, '', RETENTION, MOST_PAYMENTS)
end

-- What a customer's records tell besides: spikes, and amounts just under a limit.
local function read_customer(history, at, lowest, time, amount)
  local bounds, last = {}, history.last
  read_velocity(history, at, lowest, time, amount, bounds)
  local bound, n = at, OWN_AT + 9
  for index = 1, #SPIKE_WINDOWS do
    local spikes = 0
    if last > 0 then
      bound = last_upto(history, time - SPIKE_WINDOWS[index], lowest, bound)
      spikes = total_at(history, at, 2) - total_at(history, bound, 2)
    end
    out[n + index] = spikes
  end
  n = n + #SPIKE_WINDOWS
  for index = 1, #LIMIT_WINDOWS do
    out[n + index] = last > 0 and total_at(history, at, 3) - total_at(history, bounds[LIMIT_WINDOWS[index]], 3) or 0
  end
end

-- As `velocity`. Whether the payment is a spike is stored with it, so that is found out in any case.
local function customer_velocity(key, time, amount, under, asked)
  local history, lowest = open_entity(key, 32, time)
  local at = last_upto(history, time, lowest, history.last)
  if asked then read_customer(history, at, lowest, time, amount) end
  local spike = own_history(history, at, lowest, time, amount)
  insert(history, at, time, {amount, spike and 1 or 0, under}, '', RETENTION, MOST_PAYMENTS)
end

-- ---- pairs -----------------------------------------------------------------------------------------------------------
-- Whom an owner was seen with: 8 bytes of token, 8 of the last time, 2 of how often, in order of that time.

local function find_entry(list, token, size, offset, from)
  local position = find(list, token, from, true)
  while position and (position - 1) % size ~= offset do
    position = find(list, token, position + 1, true)
  end
  return position
end

-- How many of the first `high` entries were seen at `moment` or before. Mostly nearly all, so it begins at the end.
local function seen_upto(list, moment, high)
  local low, step, probe = 0, 1, high
  while probe > 0 do
    if unpack_bytes('<d', list, probe * 18 - 9) <= moment then
      low = probe
      break
    end
    high, probe, step = probe - 1, probe - step, step * 2
  end
  while low < high do
    local middle = floor((low + high + 1) / 2)
    if unpack_bytes('<d', list, middle * 18 - 9) <= moment then low = middle else high = middle - 1 end
  end
  return low
end

-- One list: what it says of `other`, who now is in it. DISTINCT_WINDOWS grow.
local function meet(list, other, time)
  local count, seen, position = 0, time, find_entry(list, other, 18, 0, 1)
  if position then
    local before, times = unpack_bytes('<dH', list, position + 8)
    if time - before <= FORGET then count = times end
    seen = max(before, time)
    list = sub(list, 1, position - 1) .. sub(list, position + 18)
  end
  local entry, entries = other .. pack('<dH', seen, min(count + 1, 65535)), #list / 18
  local place = seen_upto(list, seen, entries)
  if place == entries then
    list = list .. entry
  else
    list = sub(list, 1, place * 18) .. entry .. sub(list, place * 18 + 1)
  end
  entries = entries + 1
  if entries > KNOWN then list, entries = sub(list, -KNOWN * 18), KNOWN end
  local n, before = written, entries
  written = n + 1 + #DISTINCT_WINDOWS
  out[n + 1] = count
  for index = 1, #DISTINCT_WINDOWS do
    before = seen_upto(list, time - DISTINCT_WINDOWS[index], before)
    out[n + 1 + index] = entries - before
  end
  return list
end

-- All lists of an owner lie in one string, behind the length of each.
local function meet_all(key, others, time)
  local state, format, lengths = call('GET', key), '<' .. rep('H', #others), nil
  local from, lists, changed = 2 * #others + 1, {}, false
  if state then lengths = {unpack_bytes(format, state)} end
  for index = 1, #others do
    local length = lengths and lengths[index] or 0
    local list = length > 0 and sub(state, from, from + length - 1) or ''
    from = from + length
    if others[index] == NONE then
      unknown(1 + #DISTINCT_WINDOWS)
    else
      list, changed = meet(list, others[index], time), true
    end
    lists[index] = list
  end
  if not changed then return end
  lengths = {}
  for index = 1, #lists do lengths[index] = #lists[index] end
  call('SET', key, pack(format, unpack(lengths)) .. concat(lists), 'EX', HISTORY_TTL)
end

-- ---- place -----------------------------------------------------------------------------------------------------------
-- Where the customer was last, and sums of where about HOME_PAYMENTS payments were.

local function travel(key, time, latitude, longitude)
  local state, n = call('GET', key), written
  local then_, north, east, norths, easts, count = time, latitude, longitude, 0, 0, 0
  if state then then_, north, east, norths, easts, count = unpack_bytes('<dddddd', state) end
  if state and time - then_ > FORGET then state, norths, easts, count = nil, 0, 0, 0 end
  if state then
    out[n + 1], out[n + 2], out[n + 3] = north, east, max(time - then_, then_ - time)
    out[n + 4], out[n + 5], out[n + 6] = norths, easts, count
    written = n + 6
  else
    unknown(6)
  end
  if not state or time >= then_ then then_, north, east = time, latitude, longitude end
  norths, easts, count = norths + latitude, easts + longitude, count + 1
  if count > HOME_PAYMENTS then norths, easts, count = floor(norths / 2), floor(easts / 2), floor(count / 2) end
  call('SET', key, pack('<dddddd', then_, north, east, norths, easts, count), 'EX', HISTORY_TTL)
end
