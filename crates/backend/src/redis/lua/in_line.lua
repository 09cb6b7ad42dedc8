#!lua flags=no-writes,allow-oom
-- Jobs of a queue that are published and not claimed, the next to be delivered first.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, queue, limit
-- Returns: their ids
-- Atomic because a job that is claimed meanwhile must not make two others swap places.

local queue, left, out = arg(), num(), {}
for priority = 3, 0, -1 do
  if left > 0 then
    for _, id in ipairs(call('ZRANGE', P .. 'ready:' .. queue .. ':' .. priority, 0, left - 1)) do
      out[#out + 1] = id
      left = left - 1
    end
  end
end
return out
