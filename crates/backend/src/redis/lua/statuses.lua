#!lua flags=no-writes,allow-oom
-- How jobs stand; tombstones count.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then the ids
-- Returns: of each its status, or nil
-- Atomic because a job that is pruned meanwhile must be seen as its record or its tombstone.

local out = {}
while at < #ARGV do
  local id = arg()
  local r = record(id)
  local s = r and r.s
  if not s then
    local known = tombstone(id)
    s = known and known.s
  end
  out[#out + 1] = s or false
end
return out
