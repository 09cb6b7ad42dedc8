#!lua flags=allow-oom
-- The messages of Queued jobs cannot be read: the jobs are given up.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and encoded error of each
-- Returns: nothing
-- Atomic because a job that runs from another copy of its message must stay.

while at < #ARGV do
  local r, error = load(arg()), arg()
  if r and r.s == QUEUED then
    settle(r, FAILED)
    keep_error(r, error)
    save(r)
  end
end
return done(false)
