-- The stream of payments and labels: one atomic call per batch. The rule it follows is written in online.py; replay_*.py repeat it.
-- KEYS[1] generation key. ARGV: 1 generation, 2 key prefix, 3 "answer" | "take" or, to take again what may be lost, the run id of the
-- server where that was begun, 4 memo time to live in s (0 = keep no memo),
-- 5 items of ITEM_SIZE bytes: kind of item, flag, uid, four numbers, a token of 8 bytes for each subject (zeros = none).
-- PAYMENT: flag = just under a limit; time in ms, amount, latitude, longitude (-1 = none). LEGITIMATE, FRAUD (labels): reported
-- and occurred in ms, amount. Answers one msgpack list of readings per payment, in order.

local prefix, answering, memo_ttl = ARGV[2], ARGV[3] == 'answer', tonumber(ARGV[4])

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('STALEGEN the feature state is of another generation')
end
-- A server that was restarted may have lost its newest seconds.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if run ~= ARGV[3] and run ~= redis.call('GET', RUN) then
  return redis.error_reply('STALERUN the server was restarted')
end

local function read_fraud(tokens, time)
  for index = 1, #LABELLED do
    local subject = LABELLED[index]
    if tokens[subject] == NONE then
      unknown(LABELS)
    else
      fraud_history(prefix .. 'l' .. LETTERS[subject] .. tokens[subject], time)
    end
  end
end

local function read_risk(tokens, day)
  for index = 1, #RISKED do
    local subject = RISKED[index]
    if tokens[subject] == NONE then
      unknown(2 * #RISK_DAYS)
    else
      answer_days(days_of(prefix .. 'r' .. LETTERS[subject] .. tokens[subject]), day, RISK_DAYS)
    end
  end
end

local function take_velocities(tokens, time, amount, under, asked)
  customer_velocity(prefix .. LETTERS[1] .. tokens[1], time, amount, under, asked)
  for subject = 2, ENTITIES do
    if tokens[subject] == NONE then
      unknown(VELOCITY)
    else
      velocity(prefix .. LETTERS[subject] .. tokens[subject], time, amount, asked)
    end
  end
  if tokens[CATEGORY] == NONE then
    unknown(VELOCITY)
  else
    velocity(prefix .. 'p' .. tokens[1] .. tokens[CATEGORY], time, amount, asked)
  end
  written = written + OWN
end

local function take_pairs(tokens, time)
  for index = 1, #PAIRS do
    local owner, others = PAIRS[index][1], {}
    for place = 2, #PAIRS[index] do others[place - 1] = tokens[PAIRS[index][place]] end
    if tokens[owner] == NONE then
      unknown(#others * (1 + #DISTINCT_WINDOWS))
    else
      meet_all(prefix .. 'k' .. LETTERS[owner] .. tokens[owner], others, time)
    end
  end
end

local function take_payment(uid, time, amount, under, latitude, longitude, tokens)
  local memo = prefix .. 's' .. uid
  if memo_ttl > 0 then
    local first = call('GET', memo)
    if first then return first end
  end
  local asked, day, category = memo_ttl > 0 or answering, floor(time / DAY), nil
  written = 0
  take_velocities(tokens, time, amount, under, asked)
  take_pairs(tokens, time)
  if latitude < 0 then unknown(6) else travel(prefix .. 'g' .. tokens[1], time, latitude, longitude) end
  if tokens[CATEGORY] ~= NONE then category = days_of(prefix .. 'q' .. tokens[CATEGORY]) end
  local readings
  if asked then
    read_fraud(tokens, time)
    if category then answer_days(category, day, {CATEGORY_DAYS}) else unknown(2) end
    read_risk(tokens, day)
    readings = cmsgpack.pack(out)
  end
  if category then add_to_day(category, day, 1, amount) end
  if memo_ttl > 0 then call('SET', memo, readings, 'EX', memo_ttl) end
  return readings
end

local function take_label(uid, reported, occurred, amount, fraud, tokens)
  local own = open_history(prefix .. 'l' .. LETTERS[1] .. tokens[1], LABEL_SIZE, 1048576)
  if own.last > 0 and is_repeated(own, uid, reported, fraud) then return end
  local unexplained = fraud == 1 and was_usual(prefix .. LETTERS[1] .. tokens[1], occurred, amount) and 1 or 0
  local more = pack('<d', occurred) .. uid
  for index = 1, #LABELLED do
    local subject = LABELLED[index]
    if subject == 1 then
      add_label(own, reported, fraud, unexplained, more)
    elseif tokens[subject] ~= NONE then
      local history = open_history(prefix .. 'l' .. LETTERS[subject] .. tokens[subject], LABEL_SIZE, TAIL)
      add_label(history, reported, fraud, unexplained, more)
    end
  end
  local day = floor(reported / DAY)
  for index = 1, #RISKED do
    local subject = RISKED[index]
    if tokens[subject] ~= NONE then
      add_to_day(days_of(prefix .. 'r' .. LETTERS[subject] .. tokens[subject]), day, 1, fraud)
    end
  end
end

local answers = {}
local items = ARGV[5]
for position = 1, #items, ITEM_SIZE do
  local values = {unpack_bytes(ITEM, items, position)}
  local tokens = {}
  for index = 1, #LETTERS do tokens[index] = values[7 + index] end
  local kind, flag, uid = values[1], values[2], values[3]
  if kind == PAYMENT then
    local readings = take_payment(uid, values[4], values[5], flag, values[6], values[7], tokens)
    if answering then answers[#answers + 1] = readings end
  else
    take_label(sub(uid, 9), values[4], values[5], values[6], kind == FRAUD and 1 or 0, tokens)
  end
end
return answers
