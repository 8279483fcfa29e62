-- Stands before the stream's script when it is only asked: reads go through, writes do nothing. The server is told too (EVAL_RO).
local READS, server = {GET = true, GETRANGE = true, STRLEN = true, EXISTS = true, INFO = true}, redis
local redis = {
  error_reply = server.error_reply,
  call = function(command, ...) if READS[command] then return server.call(command, ...) end end,
}
