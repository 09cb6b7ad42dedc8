#!lua flags=no-writes,allow-oom
-- Cron entries by name.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, where to begin (`-`, `[name` or `(name`), limit
-- Returns: of each: see `cron_row`
-- Atomic because the parts of an entry must belong together.

local from, out = arg(), {}
for _, name in ipairs(call('ZRANGEBYLEX', P .. 'cron:names', from, '+', 'LIMIT', 0, num())) do cron_row(out, name) end
return out
