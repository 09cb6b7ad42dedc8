#!lua flags=allow-oom
-- Takes a cron entry away.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, name
-- Returns: 1 when it was there
-- Atomic because half an entry could fire.

local name = arg()
for _, part in ipairs({ 'next', 'entry', 'last' }) do call('HDEL', P .. 'cron:' .. part, name) end
call('ZREM', P .. 'cron', name)
call('ZREM', P .. 'cron:names', name)
call('SREM', P .. 'cron:paused', name)
return call('HDEL', P .. 'cron:version', name)
