#!lua flags=allow-oom
-- How many twins were made stale since the keeper's last lap.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, 1 to start anew
-- Returns: the number
-- Atomic because a removal between reading and clearing would never be looked for.

local pending = tonumber(call('HGET', KEYS[1], 'removals') or nil) or 0
if num() == 1 then call('HDEL', KEYS[1], 'removals') end
return pending
