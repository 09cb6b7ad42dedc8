#!lua flags=allow-oom
-- Makes or changes a cron entry and raises its version.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, name, the version that it must have (0 none, empty any), next tick, definition
-- Returns: 'written', 'unchanged' or 'conflict'; the version that is there then
-- Atomic because a tick that fires at the same moment must see one version whole.

local name, expected, next_at, definition = arg(), opt(), arg(), arg()
local version = call('HGET', P .. 'cron:version', name)
if version and call('HGET', P .. 'cron:entry', name) == definition then return { 'unchanged', version } end
if expected and expected ~= (version or '0') then return { 'conflict', version or '0' } end
version = cron_raise(name)
call('HSET', P .. 'cron:next', name, next_at)
call('HSET', P .. 'cron:entry', name, definition)
call('ZADD', P .. 'cron:names', 0, name)
if call('SISMEMBER', P .. 'cron:paused', name) == 0 then call('ZADD', P .. 'cron', next_at, name) end
return { 'written', version }
