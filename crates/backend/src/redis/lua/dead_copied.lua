#!lua flags=allow-oom
-- The broker confirmed the durable twins of dead letters.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and gen of each
-- Returns: nothing
-- Atomic because a letter that was requeued and died again has no twin yet, and because a twin that comes after its
-- letter was requeued, discarded or pruned is stale: the lap for that one may have passed before the twin was there.

local late = 0
while at < #ARGV do
  local r, gen = load(arg()), num()
  if r and r.s == FAILED and r.g == gen then
    put(r, 'D', 1)
    save(r)
  else
    late = late + 1
  end
end
if late > 0 then call('HINCRBY', KEYS[1], 'removals', late) end
return done(false)
