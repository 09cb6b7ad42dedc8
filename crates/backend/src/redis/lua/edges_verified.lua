#!lua flags=allow-oom
-- Every parent of these Blocked children is registered: their edges are verified later, and later each time.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then the ids
-- Returns: nothing
-- Atomic because a child that was released meanwhile must get no row.

while at < #ARGV do
  local r = load(arg())
  if r and r.s == BLOCKED then
    local times = r.V or 0
    put(r, 'v', NOW + math.min(EDGES_VERIFY * 2 ^ math.min(times, 16), EDGES_VERIFY_MAX))
    put(r, 'V', times + 1)
    save(r)
  end
end
return done(false)
