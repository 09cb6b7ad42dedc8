#!lua
-- Makes a job of a cron entry outside its schedule. Refused when Redis is out of memory.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, name, the job (see `read_job`)
-- Returns: nothing when there is no such entry, else kind, status, gen, 1 when it is unpublished (see `enqueue`)
-- Atomic because the next tick must see this job as the last one.

local name, job = arg(), read_job()
if call('HEXISTS', P .. 'cron:version', name) == 0 then return {} end
local out = { enqueue(job, 0) }
if out[1] ~= 'taken' then cron_made(name, job) end
return done(out)
