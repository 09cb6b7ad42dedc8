#!lua flags=no-writes,allow-oom
-- How jobs stand, and which buckets of statistics there are.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed
-- Returns: the time; arrays: counters and their counts, paused queues, queues and since when the oldest waiting job of
--   each could run, minutes, hours, functions and how many jobs are parked for each
-- Atomic because the oldest job must be one that is counted.

local counts, queues, functions, oldest = call('HGETALL', P .. 'n'), {}, {}, {}
for i = 1, #counts, 2 do
  local queue, s, fn = string.match(counts[i], '^([^:]*):(%d):(.*)$')
  if tonumber(s or nil) == QUEUED then
    queues[queue] = true
    functions[fn] = true
  end
end

-- The first rows of an index. They are in the order of publication or of the next try, which is nearly that of age.
local function look(index)
  for _, id in ipairs(call('ZRANGE', P .. index, 0, LOOK - 1)) do
    local r = record(id)
    if r and r.A and r.A < (oldest[r.q] or math.huge) then oldest[r.q] = r.A end
  end
end

for priority = 0, 3 do
  look('outbox:' .. priority)
  for queue in pairs(queues) do look('ready:' .. queue .. ':' .. priority) end
end
local parked = {}
for fn in pairs(functions) do
  local jobs = call('ZCARD', P .. 'parked:' .. fn)
  if jobs > 0 then
    look('parked:' .. fn)
    parked[#parked + 1] = fn
    parked[#parked + 1] = text(jobs)
  end
end

local flat = {}
for queue, since in pairs(oldest) do
  flat[#flat + 1] = queue
  flat[#flat + 1] = text(since)
end
return {
  text(NOW), counts, call('SMEMBERS', P .. 'paused'), flat,
  call('LRANGE', P .. 'st:minutes', 0, -1), call('LRANGE', P .. 'st:hours', 0, -1), parked
}
