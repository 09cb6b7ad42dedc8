#!lua
-- Records jobs, or tells how the known ones stand. Refused when Redis is out of memory.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, number of jobs, then the jobs (see `read_job`)
-- Returns: epoch, then of each job: kind (new, known, taken), status, gen, 1 when it is unpublished
-- Atomic because a record without its index row would never run, and two enqueues of one id must make one job.

local jobs = {}
for i = 1, num() do jobs[i] = read_job() end
local out = { epoch() }
for _, job in ipairs(jobs) do
  local kind, s, g, unpublished = enqueue(job, OUTBOX_GRACE)
  out[#out + 1] = kind
  out[#out + 1] = s
  out[#out + 1] = g
  out[#out + 1] = unpublished
end
return done(out)
