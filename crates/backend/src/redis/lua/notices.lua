#!lua flags=allow-oom
-- Notices that wait to be taken, the oldest first.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: epoch, how many there was no room for, then of each: number, time, kind, and d: id, gen, function, queue,
--   attempts, encoded error; w: id, function, queue, worker; c: cron entry, tick
-- Atomic because the numbers mean nothing without the epoch.

local out = { epoch(), tonumber(call('HGET', KEYS[1], 'notices_dropped') or nil) or 0 }
for _, packed in ipairs(call('LRANGE', P .. 'notices', 0, num() - 1)) do
  local number, time, row = unpack(cmsgpack.unpack(packed))
  out[#out + 1] = number
  out[#out + 1] = time
  for _, value in ipairs(row) do out[#out + 1] = value end
end
return out
