#!lua flags=allow-oom
-- Moves the next try of outbox rows: a publish is under way, or the broker refused it.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, milliseconds until the next try, then id and gen of each
-- Returns: nothing
-- Atomic because a row that was confirmed meanwhile must not come back.

local by = num()
while at < #ARGV do
  local r, gen = load(arg()), num()
  if r and r.s == QUEUED and r.g == gen and r.x then
    put(r, 'x', NOW + by)
    save(r)
  end
end
return done(false)
