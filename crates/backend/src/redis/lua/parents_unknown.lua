#!lua flags=allow-oom
-- A look at the edges of these Blocked children found a parent of each unknown: the first such look is remembered.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then the ids
-- Returns: nothing
-- Atomic because a child that was released meanwhile remembers nothing.

while at < #ARGV do
  local r = load(arg())
  if r and r.s == BLOCKED and not r.U then
    put(r, 'U', NOW)
    save(r)
  end
end
return done(false)
