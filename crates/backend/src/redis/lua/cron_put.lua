#!lua flags=allow-oom
-- Writes a cron entry and raises its version.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, name, next tick, definition
-- Returns: the version
-- Atomic because a tick that fires at the same moment must see one version whole.

local name, next_at, definition = arg(), arg(), arg()
local version = call('HINCRBY', P .. 'cron:version', name, 1)
call('HSET', P .. 'cron:next', name, next_at)
call('HSET', P .. 'cron:entry', name, definition)
call('ZADD', P .. 'cron', next_at, name)
return version
