#!lua flags=allow-oom
-- Every parent of these Blocked children is registered: their edges are verified later, and later each time.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then the ids
-- Returns: of each: 1 when the job is known, tombstones included
-- Atomic because a child that was released meanwhile must get no row.

local function verified(r)
  local times = r.V or 0
  put(r, 'v', NOW + math.min(EDGES_VERIFY * 2 ^ math.min(times, 16), EDGES_VERIFY_MAX))
  put(r, 'V', times + 1)
  cut(r, 'U')
  save(r)
end

local out = {}
while at < #ARGV do
  local id = arg()
  local r = load(id)
  if r and r.s == BLOCKED then verified(r) end
  out[#out + 1] = r and 1 or call('EXISTS', P .. 't:' .. id)
end
return done(out)
