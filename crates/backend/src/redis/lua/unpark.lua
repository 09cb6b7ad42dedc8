#!lua flags=allow-oom
-- Parked jobs of functions that a live worker has go to the outbox, due now.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit, then the functions
-- Returns: how many
-- Atomic because the row leaves one index and enters the other.

local left, released = num(), 0
while at < #ARGV do
  local fn = arg()
  if left > 0 then
    left = left - each('parked:' .. fn, '+inf', left, function(r)
      cut(r, 'k')
      put(r, 'x', NOW)
      save(r)
      released = released + 1
    end)
  end
end
return done(released)
