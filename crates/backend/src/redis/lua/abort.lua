#!lua flags=allow-oom
-- Takes back jobs that their enqueue has just made: still Blocked, and their edges never verified. Leaves no tombstone.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then the ids
-- Returns: nothing
-- Atomic because a job that was released, or that another enqueue of it acknowledged, meanwhile must stay.

while at < #ARGV do
  local r = load(arg())
  if r and r.s == BLOCKED and not r.V then forget(r) end
end
return done(false)
