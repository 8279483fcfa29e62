-- Feature state of payments: one atomic call per batch. The rule it follows is written in online.py; offline.py repeats it.
-- KEYS[1] generation key. ARGV: 1 generation, 2 key prefix, 3 "answer" | "quiet", 4 memo time to live in s (0 = keep no memo),
-- 5 items of ITEM_SIZE bytes: kind of item, uid, two numbers, a token of 8 bytes for each entity (zeros = none).
-- PAYMENT: time in ms, amount. LEGITIMATE, FRAUD (labels): reported and occurred in ms.
-- Answers one msgpack list of readings per payment, in order. The constants in capitals are put in front by online.py.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('STALEGEN the feature state is of another generation')
end

local call, pack, unpack_bytes, sub, find = redis.call, struct.pack, struct.unpack, string.sub, string.find
local floor, min, max, sort, concat = math.floor, math.min, math.max, table.sort, table.concat
local NONE = string.rep('\0', 8)
local prefix, answering, memo_ttl = ARGV[2], ARGV[3] == 'answer', tonumber(ARGV[4])

-- ---- histories -------------------------------------------------------------------------------------------------------
-- A history is one string of fixed-size records in time order. A record starts with (time, running total); record 0 is a
-- sentinel that holds the total of what was dropped. So a window's count is a difference of positions and its sum a
-- difference of totals. Only the tail is read; a search that leaves it fetches single records.

local function open_history(key, size, tail)
  local block = call('GETRANGE', key, -tail * size, -1)
  local last, first = #block / size - 1, 0
  if #block == tail * size then
    last = call('STRLEN', key) / size - 1
    first = last + 1 - tail
  end
  return {key = key, size = size, last = last, first = first, block = block}
end

local function number_at(history, index, offset)
  local size = history.size
  if index >= history.first then
    return (unpack_bytes('<d', history.block, (index - history.first) * size + offset + 1))
  end
  local from = index * size + offset
  return (unpack_bytes('<d', call('GETRANGE', history.key, from, from + 7)))
end

local function time_at(history, index) return number_at(history, index, 0) end
local function total_at(history, index) return number_at(history, index, 8) end

-- Greatest index in [low, high] that is low or has a time of at most `moment`. What is asked for mostly lies near `high`, so
-- the steps double backwards from there before the search halves.
local function last_upto(history, moment, low, high)
  if high <= low or time_at(history, high) <= moment then return high end
  local step = 1
  while high - step > low do
    local probe = high - step
    if time_at(history, probe) <= moment then
      low = probe
      break
    end
    high, step = probe, step * 2
  end
  while high - low > 1 do
    local middle = floor((low + high) / 2)
    if time_at(history, middle) <= moment then low = middle else high = middle end
  end
  return low
end

local function drop_oldest(history, last, newest, retention, most)
  if last < 128 or last % 64 ~= 0 then return end
  local key, size = history.key, history.size
  local middle = last - floor(last / 2)
  local record = call('GETRANGE', key, middle * size, middle * size + size - 1)
  local time, total = unpack_bytes('<dd', record)
  if time >= newest - retention and last < 2 * most then return end
  local kept = call('GETRANGE', key, (middle + 1) * size, -1)
  call('SET', key, pack('<dd', 0, total) .. string.rep('\0', size - 16) .. kept)
end

-- Puts a record after index `at`. `rest` = the bytes behind time and total.
local function insert(history, at, time, amount, rest, retention, most)
  local key, size, last = history.key, history.size, history.last
  if last < 0 then
    call('SET', key, pack('<dd', 0, 0) .. string.rep('\0', size - 16) .. pack('<dd', time, amount) .. rest, 'EX', HISTORY_TTL)
    return
  end
  local newest = time
  if at == last then
    call('APPEND', key, pack('<dd', time, total_at(history, last) + amount) .. rest)
  else
    newest = time_at(history, last)
    if newest - time > retention or last - at > MOST_LATE then return end
    local tail = call('GETRANGE', key, (at + 1) * size, -1)
    local fixed = {pack('<dd', time, total_at(history, at) + amount) .. rest}
    for position = 1, #tail, size do
      local later, total = unpack_bytes('<dd', tail, position)
      fixed[#fixed + 1] = pack('<dd', later, total + amount) .. sub(tail, position + 16, position + size - 1)
    end
    call('SETRANGE', key, (at + 1) * size, concat(fixed))
  end
  drop_oldest(history, last + 1, newest, retention, most)
  call('EXPIRE', key, HISTORY_TTL)
end

-- ---- payments --------------------------------------------------------------------------------------------------------

local function unknown(out, count)
  for _ = 1, count do out[#out + 1] = -1 end
end

-- Running totals of records [low, high], decoded in one go: {time, total, time, total, ...}.
local function numbers_between(history, low, high)
  local bytes, from = history.block, (low - history.first) * 16 + 1
  if low < history.first then
    bytes, from = call('GETRANGE', history.key, low * 16, high * 16 + 15), 1
  end
  return {unpack_bytes('<' .. string.rep('dd', high - low + 1), bytes, from)}
end

-- Amounts of the customer's payments up to index `at`: count, sum, twice the median, squared deviations, largest.
local function own_amounts(out, history, at, lowest)
  local count = min(at - lowest, OWN_PAYMENTS)
  if count <= 0 then
    out[#out + 1] = 0
    return unknown(out, 4)
  end
  local numbers = numbers_between(history, at - count, at)
  local amounts, later = {}, numbers[2 * count + 2]
  local sum = later - numbers[2]
  for back = 1, count do
    local total = numbers[2 * (count - back) + 2]
    amounts[back] = later - total
    later = total
  end
  local deviations = 0
  for index = 1, count do
    local deviation = count * amounts[index] - sum
    deviations = deviations + deviation * deviation
  end
  sort(amounts)
  local half = floor((count + 1) / 2)
  local upper = floor(count / 2) + 1
  local n = #out
  out[n + 1], out[n + 2], out[n + 3] = count, sum, amounts[half] + amounts[upper]
  out[n + 4], out[n + 5] = deviations, amounts[count]
end

-- Adds the payment to one entity's history after reading it. Returns whether the entity was new; `own` takes the amounts.
local function velocity(out, letter, token, time, amount, own)
  if token == NONE then
    unknown(out, 2 * #WINDOWS + 1)
    return true
  end
  local history = open_history(prefix .. letter .. token, 16, TAIL)
  if history.last > 0 and time - time_at(history, history.last) > FORGET then
    history.last, history.first, history.block = -1, 0, ''
  end
  local last = history.last
  local lowest = max(0, last - MOST_PAYMENTS)
  local at = last > 0 and last_upto(history, time, lowest, last) or 0
  local total, bound = last > 0 and total_at(history, at) or 0, at
  for index = 1, #WINDOWS do
    local before = 0
    if last > 0 then
      bound = last_upto(history, time - WINDOWS[index], lowest, bound)
      before = total_at(history, bound)
    end
    out[#out + 1] = at - bound + 1
    out[#out + 1] = total - before + amount
  end
  out[#out + 1] = at > lowest and time - time_at(history, at) or -1
  if own then own_amounts(own, history, at, lowest) end
  insert(history, last > 0 and at or last, time, amount, '', RETENTION, MOST_PAYMENTS)
  return last < 0
end

local function find_entry(list, token, size, offset, from)
  local position = find(list, token, from, true)
  while position and (position - 1) % size ~= offset do
    position = find(list, token, position + 1, true)
  end
  return position
end

-- What the customer has paid with, least recent first: 8 bytes of token, 2 of count.
local function known_pairs(out, tokens, fresh)
  local key = prefix .. 'k' .. tokens[1]
  local list = not fresh and call('GET', key) or ''
  for index = 1, #PAIRED do
    local token, count = tokens[PAIRED[index]], -1
    if token ~= NONE then
      local position = find_entry(list, token, 10, 0, 1)
      count = 0
      if position then
        count = unpack_bytes('<H', list, position + 8)
        list = sub(list, 1, position - 1) .. sub(list, position + 10)
      end
      list = list .. token .. pack('<H', min(count + 1, 65535))
    end
    out[#out + 1] = count
  end
  call('SET', key, sub(list, -KNOWN * 10), 'EX', HISTORY_TTL)
end

-- ---- labels ----------------------------------------------------------------------------------------------------------
-- Label histories: time = when the label was reported, total = frauds so far, then when the payment occurred and 8 bytes
-- of its uid.

local function last_with_fewer_frauds(history, frauds, low, high)
  while low < high do
    local middle = floor((low + high + 1) / 2)
    if total_at(history, middle) < frauds then low = middle else high = middle - 1 end
  end
  return low
end

-- Index of the last legitimate label in (low, high], or low.
local function last_legitimate(history, low, high)
  local legitimate = high - total_at(history, high)
  while low < high do
    local middle = floor((low + high) / 2)
    if middle - total_at(history, middle) == legitimate then high = middle else low = middle + 1 end
  end
  return low
end

local function fraud_history(out, letter, token, time)
  if token == NONE then return unknown(out, 2 * #LABEL_WINDOWS + 4) end
  local history = open_history(prefix .. 'l' .. letter .. token, 32, TAIL)
  local last = history.last
  local lowest = max(0, last - MOST_LABELS)
  local at = last > 0 and last_upto(history, time, lowest, last) or 0
  if at <= lowest or time - time_at(history, at) > FORGET then
    for _ = 1, 2 * #LABEL_WINDOWS + 1 do out[#out + 1] = 0 end
    return unknown(out, 3)
  end
  local frauds, bound = total_at(history, at), at
  for index = 1, #LABEL_WINDOWS do
    bound = last_upto(history, time - LABEL_WINDOWS[index], lowest, bound)
    out[#out + 1] = at - bound
    out[#out + 1] = frauds - total_at(history, bound)
  end
  local run, run_age, since, legitimate = 0, -1, -1, -1
  if frauds > total_at(history, lowest) then
    local last_fraud = last_with_fewer_frauds(history, frauds, lowest, at) + 1
    local age = max(0, time - number_at(history, last_fraud, 16))
    if age <= FRAUD_MEMORY then since, legitimate = age, at - last_fraud end
    if last_fraud == at then
      local start = last_legitimate(history, lowest, at)
      run, run_age = at - start, max(0, time - number_at(history, start + 1, 16))
    end
  end
  local n = #out
  out[n + 1], out[n + 2], out[n + 3], out[n + 4] = run, run_age, since, legitimate
end

-- A payment's label counts when it differs from its newest one and was not reported before it; one that was taken is not taken again.
local function is_repeated(history, uid, reported, fraud)
  local position, newest, newest_time = find_entry(history.block, uid, 32, 24, 33), nil, nil
  while position do
    local index = (position - 25) / 32
    newest, newest_time = total_at(history, index) - total_at(history, index - 1), time_at(history, index)
    if newest == fraud and newest_time == reported then return true end
    position = find_entry(history.block, uid, 32, 24, position + 1)
  end
  return newest == fraud or (newest_time and newest_time > reported)
end

local function record_label(letter, token, uid, reported, occurred, fraud)
  if token == NONE then return end
  local history = open_history(prefix .. 'l' .. letter .. token, 32, 1048576)
  local last = history.last
  if last > 0 and is_repeated(history, uid, reported, fraud) then return end
  local at = last > 0 and last_upto(history, reported, 0, last) or last
  insert(history, at, reported, fraud, pack('<d', occurred) .. uid, RETENTION_LABELS, MOST_LABELS)
end

-- ---- the stream ------------------------------------------------------------------------------------------------------

local function take_payment(uid, time, amount, tokens)
  local memo = prefix .. 's' .. uid
  if memo_ttl > 0 then
    local first = call('GET', memo)
    if first then return first end
  end
  local out, own, fresh = {}, {}, true
  for kind = 1, #LETTERS do
    local is_new = velocity(out, LETTERS[kind], tokens[kind], time, amount, kind == 1 and own or nil)
    if kind == 1 then fresh = is_new end
  end
  for index = 1, 5 do out[#out + 1] = own[index] end
  known_pairs(out, tokens, fresh)
  if memo_ttl == 0 and not answering then return nil end
  for index = 1, #LABELLED do
    local kind = LABELLED[index]
    fraud_history(out, LETTERS[kind], tokens[kind], time)
  end
  local readings = cmsgpack.pack(out)
  if memo_ttl > 0 then call('SET', memo, readings, 'EX', memo_ttl) end
  return readings
end

local function take_label(uid, reported, occurred, fraud, tokens)
  for index = 1, #LABELLED do
    local kind = LABELLED[index]
    record_label(LETTERS[kind], tokens[kind], sub(uid, 9), reported, occurred, fraud)
  end
end

local answers = {}
local items = ARGV[5]
for position = 1, #items, ITEM_SIZE do
  local item, uid, first, second, c, a, m, d, i = unpack_bytes('<Bc16ddc8c8c8c8c8', items, position)
  local tokens = {c, a, m, d, i}
  if item == PAYMENT then
    local readings = take_payment(uid, first, second, tokens)
    if answering then answers[#answers + 1] = readings end
  else
    take_label(uid, first, second, item == FRAUD and 1 or 0, tokens)
  end
end
return answers
