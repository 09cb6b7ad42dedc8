#!lua
-- Moves a cron entry to its next tick and records the job of this one. Refused when Redis is out of memory.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, name, version and tick as read, the next tick, 1 and the job (see `read_job`) or 0 to skip the
--   tick; then id and reason of a job to be cancelled, if any
-- Returns: 1 when this call fired
-- Atomic because every scheduler tries: one moves the entry, and the job exists when it has moved. What it takes the place of
--   is cancelled then, and only then.

local name, version, expected, next_at = arg(), arg(), arg(), arg()
local job = num() == 1 and read_job()
local previous, reason = arg(), arg()
if call('HGET', P .. 'cron:version', name) ~= version then return 0 end
if call('HGET', P .. 'cron:next', name) ~= expected or tonumber(expected) > NOW then return 0 end
call('HSET', P .. 'cron:next', name, next_at)
call('ZADD', P .. 'cron', next_at, name)
-- A tick that was missed: people are told, whatever the entry's policy makes of it.
if NOW - tonumber(expected) > CRON_GRACE then notice('c', name, expected) end
if previous then cancel(previous, reason) end
if job then
  enqueue(job, 0)
  cron_made(name, job)
end
return done(1)
