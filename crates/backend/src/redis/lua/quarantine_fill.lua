#!lua flags=no-writes,allow-oom
-- How full the quarantine is.
--
-- KEYS: 1 what was put aside, by message id
-- ARGV: none
-- Returns: messages, bytes
-- Atomic because both must be of one moment.

local key, bytes = KEYS[1], 0
local ids = redis.call('HKEYS', key)
for _, id in ipairs(ids) do bytes = bytes + redis.call('HSTRLEN', key, id) end
return { #ids, bytes }
