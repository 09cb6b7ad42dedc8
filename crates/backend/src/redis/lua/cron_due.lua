#!lua flags=no-writes,allow-oom
-- Cron entries whose tick is due.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: now, then of each: see `cron_row`
-- Atomic because version, tick and definition must belong together.

local out = { NOW }
for _, name in ipairs(call('ZRANGEBYSCORE', P .. 'cron', '-inf', NOW, 'LIMIT', 0, num())) do cron_row(out, name) end
return out
