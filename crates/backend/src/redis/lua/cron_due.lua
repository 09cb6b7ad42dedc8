#!lua flags=no-writes,allow-oom
-- Cron entries whose tick is due.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: of each: name, version, next tick, definition
-- Atomic because version, tick and definition must belong together.

local out = {}
for _, name in ipairs(call('ZRANGEBYSCORE', P .. 'cron', '-inf', NOW, 'LIMIT', 0, num())) do
  out[#out + 1] = name
  out[#out + 1] = call('HGET', P .. 'cron:version', name)
  out[#out + 1] = call('HGET', P .. 'cron:next', name)
  out[#out + 1] = call('HGET', P .. 'cron:entry', name)
end
return out
