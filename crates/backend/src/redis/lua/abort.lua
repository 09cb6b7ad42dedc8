#!lua flags=allow-oom
-- Takes back jobs that their enqueue has just made and that are still Blocked. Leaves no tombstone.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then the ids
-- Returns: nothing
-- Atomic because a job that was released meanwhile must stay.

while at < #ARGV do
  local r = load(arg())
  if r and r.s == BLOCKED then forget(r) end
end
return done(false)
