#!lua flags=allow-oom
-- Pauses a cron entry, or resumes it. A change raises its version, so that a tick in hand does not fire.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, name, 1 to pause or 0 to resume, the next tick of a resumed one
-- Returns: 1 when the entry is there
-- Atomic because a paused entry must not be due.

local name, pause, next_at = arg(), num() == 1, arg()
if call('HEXISTS', P .. 'cron:version', name) == 0 then return 0 end
if pause and call('SADD', P .. 'cron:paused', name) == 1 then
  cron_raise(name)
  call('ZREM', P .. 'cron', name)
elseif not pause and call('SREM', P .. 'cron:paused', name) == 1 then
  cron_raise(name)
  call('HSET', P .. 'cron:next', name, next_at)
  call('ZADD', P .. 'cron', next_at, name)
end
return 1
