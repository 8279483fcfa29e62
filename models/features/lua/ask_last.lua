-- Ends the stream's script when it is only asked: ARGV[6] uids of payments, ARGV[7] label records. Also says which of them are part
-- of the state at this very moment.
local payments, labels = {}, {}
for position = 1, #ARGV[6], 16 do
  payments[#payments + 1] = call('EXISTS', prefix .. 's' .. sub(ARGV[6], position, position + 15))
end
for position = 1, #ARGV[7], ITEM_SIZE do
  local values = {unpack_bytes(ITEM, ARGV[7], position)}
  local own = open_history(prefix .. 'l' .. LETTERS[1] .. values[8], LABEL_SIZE, 1048576)
  local taken = own.last > 0 and is_repeated(own, sub(values[3], 9), values[4], values[1] == FRAUD and 1 or 0)
  labels[#labels + 1] = taken and 1 or 0
end
return {answers, payments, labels}
