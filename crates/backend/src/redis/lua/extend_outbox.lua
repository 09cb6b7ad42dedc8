#!lua flags=allow-oom
-- Extends the lease of outbox rows whose publish is under way.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and gen of each
-- Returns: nothing
-- Atomic because a row that was confirmed meanwhile must not come back.

while at < #ARGV do
  local r, gen = load(arg()), num()
  if r and r.s == QUEUED and r.g == gen and r.x then
    put(r, 'x', NOW + OUTBOX_LEASE)
    save(r)
  end
end
return done(false)
