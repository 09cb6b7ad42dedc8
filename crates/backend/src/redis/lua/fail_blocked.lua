#!lua flags=allow-oom
-- Fails Blocked jobs whose parent does not exist.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and encoded error of each
-- Returns: nothing
-- Atomic because only a job that is still Blocked may end so.

while at < #ARGV do
  local r, error = load(arg()), arg()
  if r and r.s == BLOCKED then
    settle(r, FAILED)
    keep_error(r, error)
    save(r)
  end
end
return done(false)
