#!lua flags=no-writes,allow-oom
-- When the job was published that waits for the longest time in a queue.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, queue
-- Returns: the time, or nothing when none waits
-- Atomic because a job must not move from one group of urgency to another between two looks.

local queue, oldest = arg(), nil
for priority = 0, 3 do
  local score = call('ZRANGE', P .. 'ready:' .. queue .. ':' .. priority, 0, 0, 'WITHSCORES')[2]
  if score then oldest = math.min(oldest or tonumber(score), tonumber(score)) end
end
return oldest or false
