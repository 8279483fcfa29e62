-- What became known of an entity's payments: time = when the label was reported; totals: frauds, and those of an amount usual
-- for their customer ("unexplained"); then when the payment occurred and 8 bytes of its uid.

local LABEL_SIZE, OCCURRED_AT = 40, 24

-- Index of the last legitimate label in (low, high], or low.
local function last_legitimate(history, low, high)
  local legitimate = high - total_at(history, high, 1)
  while low < high do
    local middle = floor((low + high) / 2)
    if middle - total_at(history, middle, 1) == legitimate then high = middle else low = middle + 1 end
  end
  return low
end

-- Run, its age, time since the last one, genuine ones since: of frauds (which = 1) or unexplained frauds (2). `start` = the
-- last legitimate label.
local function answer_runs(history, which, lowest, start, at, time)
  local total = total_at(history, at, which)
  local run, run_age, since, legitimate = 0, -1, -1, -1
  if total > total_at(history, lowest, which) then
    local last = first_reaching(history, which, total, lowest, at)
    local age = max(0, time - number_at(history, last, OCCURRED_AT))
    if age <= FRAUD_MEMORY then
      since = age
      legitimate = at - last - (total_at(history, at, 1) - total_at(history, last, 1))
    end
    local before = total_at(history, start, which)
    if total > before then
      run = total - before
      local first = first_reaching(history, which, before + 1, start, at)
      run_age = max(0, time - number_at(history, first, OCCURRED_AT))
    end
  end
  local n = written
  written = n + 4
  out[n + 1], out[n + 2], out[n + 3], out[n + 4] = run, run_age, since, legitimate
end

-- Readings of each labelled subject.
local LABELS = 3 * #LABEL_WINDOWS + 10

local function fraud_history(key, time)
  local history = open_history(key, LABEL_SIZE, TAIL)
  local last, n = history.last, written
  local lowest = max(0, last - MOST_LABELS)
  local at = last > 0 and last_upto(history, time, lowest, last) or 0
  if at <= lowest or time - time_at(history, at) > FORGET then
    for index = 1, 3 * #LABEL_WINDOWS do out[n + index] = 0 end
    n = n + 3 * #LABEL_WINDOWS
    out[n + 1], out[n + 2], out[n + 3], out[n + 4] = 0, -1, -1, -1
    out[n + 5], out[n + 6], out[n + 7], out[n + 8] = 0, -1, -1, -1
    out[n + 9], out[n + 10] = 0, 0
    written = n + 10
    return
  end
  local frauds, unexplained, bound = total_at(history, at, 1), total_at(history, at, 2), at
  for index = 1, #LABEL_WINDOWS do
    bound = last_upto(history, time - LABEL_WINDOWS[index], lowest, bound)
    out[n + 1] = at - bound
    out[n + 2] = frauds - total_at(history, bound, 1)
    out[n + 3] = unexplained - total_at(history, bound, 2)
    n = n + 3
  end
  written = n
  local start = last_legitimate(history, lowest, at)
  answer_runs(history, 1, lowest, start, at, time)
  answer_runs(history, 2, lowest, start, at, time)
  local newest = max(lowest, at - LABEL_SHARE)
  n = written
  written = n + 2
  out[n + 1], out[n + 2] = unexplained - total_at(history, newest, 2), at - newest
end

-- A payment's label counts when it differs from its newest one and was not reported before it; one that was taken is not taken again.
local function is_repeated(history, uid, reported, fraud)
  local offset = LABEL_SIZE - 8
  local position, newest, newest_time = find_entry(history.block, uid, LABEL_SIZE, offset, LABEL_SIZE + 1), nil, nil
  while position do
    local index = (position - 1 - offset) / LABEL_SIZE
    newest, newest_time = total_at(history, index, 1) - total_at(history, index - 1, 1), time_at(history, index)
    if newest == fraud and newest_time == reported then return true end
    position = find_entry(history.block, uid, LABEL_SIZE, offset, position + 1)
  end
  return newest == fraud or (newest_time and newest_time > reported)
end

-- Whether the customer's payment of that time and amount was no spike when it was taken; false also when it is forgotten.
local function was_usual(key, occurred, amount)
  local history = open_history(key, 32, TAIL)
  local last = history.last
  if last < 1 then return false end
  local at = last_upto(history, occurred, 0, last)
  while at > 0 and time_at(history, at) == occurred do
    if total_at(history, at, 1) - total_at(history, at - 1, 1) == amount then
      return total_at(history, at, 2) == total_at(history, at - 1, 2)
    end
    at = at - 1
  end
  return false
end

local function add_label(history, reported, fraud, unexplained, more)
  local last = history.last
  local at = last > 0 and last_upto(history, reported, 0, last) or last
  insert(history, at, reported, {fraud, unexplained}, more, RETENTION_LABELS, MOST_LABELS)
end
