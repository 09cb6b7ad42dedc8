#!lua flags=allow-oom
-- The broker confirmed dispatches: outbox to ready, where the job is still Queued with that gen.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and gen of each
-- Returns: nothing
-- Atomic because the row leaves one index and enters the other, only for the gen that was confirmed.

while at < #ARGV do
  local r, gen = load(arg()), num()
  if r and r.s == QUEUED and r.g == gen and not r.k then
    cut(r, 'x')
    put(r, 'p', NOW)
    save(r)
  end
end
return done(false)
