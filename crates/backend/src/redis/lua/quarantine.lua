#!lua flags=allow-oom
-- Messages were put aside: jobs that wait for these very dispatches are given up.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id, gen and encoded error of each
-- Returns: nothing
-- Atomic because a job that runs from another copy of its message, or waits for a later one, must stay.

while at < #ARGV do
  local r, gen, error = load(arg()), num(), arg()
  if r and r.s == QUEUED and r.g == gen then
    settle(r, FAILED)
    keep_error(r, error)
    save(r)
  end
end
return done(false)
