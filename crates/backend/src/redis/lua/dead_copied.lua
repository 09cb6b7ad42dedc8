#!lua flags=allow-oom
-- The broker confirmed the durable twins of dead letters.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and gen of each
-- Returns: nothing
-- Atomic because a letter that was requeued and died again has no twin yet.

while at < #ARGV do
  local r, gen = load(arg()), num()
  if r and r.s == FAILED and r.g == gen then
    put(r, 'D', 1)
    save(r)
  end
end
return done(false)
