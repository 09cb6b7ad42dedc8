#!lua flags=allow-oom
-- Ends waiting jobs whose expiry or deadline has passed.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: how many
-- Atomic because a job that starts at the same moment either runs or is Expired.

local expired = 0
each('expiring', NOW, num(), function(r)
  settle(r, EXPIRED)
  save(r)
  expired = expired + 1
end)
return done({ expired })
