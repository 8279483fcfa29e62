-- Histories: strings of fixed-size records in time order. A record is (time, running totals ...) and maybe more bytes behind;
-- record 0 is a sentinel that holds the totals of what was dropped. So a window's count is a difference of positions and its
-- sums are differences of totals. Only the tail is read; a search that leaves it fetches single records.

local call, pack, unpack_bytes, sub, find = redis.call, struct.pack, struct.unpack, string.sub, string.find
local floor, min, max, sort, concat, rep = math.floor, math.min, math.max, table.sort, table.concat, string.rep
local NONE = rep('\0', 8)
local AT_A_TIME = 64

-- The readings of the payment that is being taken. One table for all of them: growing a new one costs as much as filling it.
local out, written = {}, 0

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
local function total_at(history, index, which) return number_at(history, index, 8 * which) end

-- Greatest index in [low, high] that is low or has a time of at most `moment`. What is asked for mostly lies near `high`, so
-- the steps double backwards from there before the search halves. Times are read in place: nothing else is done as often.
local function last_upto(history, moment, low, high)
  if high <= low then return high end
  local block, size, first = history.block, history.size, history.first
  local start, probe, step = 1 - first * size, high, 1
  while probe > low do
    local time
    if probe >= first then time = unpack_bytes('<d', block, start + probe * size) else time = time_at(history, probe) end
    if time <= moment then break end
    high, probe, step = probe, probe - step, step * 2
  end
  low = max(low, probe)
  while high - low > 1 do
    local middle, time = floor((low + high) / 2), nil
    if middle >= first then time = unpack_bytes('<d', block, start + middle * size) else time = time_at(history, middle) end
    if time <= moment then low = middle else high = middle end
  end
  return low
end

-- Smallest index in (low, high] whose total `which` is at least `total`; the total at `high` is.
local function first_reaching(history, which, total, low, high)
  while high - low > 1 do
    local middle = floor((low + high) / 2)
    if total_at(history, middle, which) < total then low = middle else high = middle end
  end
  return high
end

local function drop_oldest(history, last, newest, retention, most)
  if last < 128 or last % 64 ~= 0 then return end
  local key, size = history.key, history.size
  local middle = last - floor(last / 2)
  local record = call('GETRANGE', key, middle * size, middle * size + size - 1)
  if unpack_bytes('<d', record) >= newest - retention and last < 2 * most then return end
  local kept = call('GETRANGE', key, (middle + 1) * size, -1)
  call('SET', key, pack('<d', 0) .. sub(record, 9) .. kept)
end

local RECORDS = {'<dd', '<ddd', '<dddd'}

local function record_of(time, totals, more)
  return pack(RECORDS[#totals], time, unpack(totals)) .. more
end

-- Adds `amounts` to the running totals of these records, many at a time: one by one it costs five times as much.
local function raised(bytes, size, amounts)
  local width, pieces = #amounts, {}
  local more, fields = size - 8 - 8 * width, 1 + width
  local record = rep('d', fields)
  if more > 0 then record, fields = record .. 'c' .. more, fields + 1 end
  for from = 1, #bytes, AT_A_TIME * size do
    local count = min(AT_A_TIME, (#bytes + 1 - from) / size)
    local format = '<' .. rep(record, count)
    local values = {unpack_bytes(format, bytes, from)}
    for which = 1, width do
      for place = which + 1, count * fields, fields do values[place] = values[place] + amounts[which] end
    end
    pieces[#pieces + 1] = pack(format, unpack(values, 1, count * fields))
  end
  return concat(pieces)
end

-- Puts a record after index `at`. `amounts`: by how much each total grows; `more`: the bytes behind the totals.
local function insert(history, at, time, amounts, more, retention, most)
  local key, size, last = history.key, history.size, history.last
  if last < 0 then
    call('SET', key, rep('\0', size) .. record_of(time, amounts, more), 'EX', HISTORY_TTL)
    return
  end
  local totals, newest = {}, time
  for index = 1, #amounts do totals[index] = total_at(history, at, index) + amounts[index] end
  if at == last then
    call('APPEND', key, record_of(time, totals, more))
  else
    newest = time_at(history, last)
    if newest - time > retention or last - at > MOST_LATE then return end
    local tail = call('GETRANGE', key, (at + 1) * size, -1)
    call('SETRANGE', key, (at + 1) * size, record_of(time, totals, more) .. raised(tail, size, amounts))
  end
  drop_oldest(history, last + 1, newest, retention, most)
  call('EXPIRE', key, HISTORY_TTL)
end

-- ---- days ------------------------------------------------------------------------------------------------------------
-- Two running totals by whole day, for what every payment shares: memory is bounded by days, not by payments.

local function days_of(key) return open_history(key, 24, DAYS_TAIL) end

-- Totals of the `windows` (in days) that end with `day`: first, second, first, second, ...
local function answer_days(history, day, windows)
  local n, last = written, history.last
  written = n + 2 * #windows
  if last < 1 then
    for index = 1, 2 * #windows do out[n + index] = 0 end
    return
  end
  local at = last_upto(history, day, 0, last)
  local first, second = total_at(history, at, 1), total_at(history, at, 2)
  for index = 1, #windows do
    local before = last_upto(history, day - windows[index], 0, at)
    out[n + 2 * index - 1] = first - total_at(history, before, 1)
    out[n + 2 * index] = second - total_at(history, before, 2)
  end
end

local function add_to_day(history, day, first, second)
  local key, last = history.key, history.last
  local at = last > 0 and last_upto(history, day, 0, last) or last
  if last < 1 or at == 0 or time_at(history, at) ~= day then
    return insert(history, at, day, {first, second}, '', RETENTION_DAYS, 2 * RETENTION_DAYS)
  end
  if at == last then
    local totals = pack('<dd', total_at(history, at, 1) + first, total_at(history, at, 2) + second)
    return call('SETRANGE', key, at * 24 + 8, totals)
  end
  local tail = call('GETRANGE', key, at * 24, -1)
  call('SETRANGE', key, at * 24, raised(tail, 24, {first, second}))
end

