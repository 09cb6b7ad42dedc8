#!lua flags=allow-oom
-- Deletes ended jobs whose retention is over; tombstones stay. Parents are kept until their children are told.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit, then status and retention in milliseconds of each
-- Returns: deleted, held by children
-- Atomic because a child that registers at the same moment must find its parent or the tombstone.

local left, deleted, held = num(), 0, 0
while at < #ARGV do
  local status, keep = arg(), num()
  if left > 0 then
    left = left - each('finished:' .. status, NOW - keep, left, function(r)
      if (r.K or 0) > 0 or r.R then
        tell_gone(r)
        save(r)
        held = held + 1
      else
        bury(r, keep)
        deleted = deleted + 1
      end
    end)
  end
end
return done({ deleted, held })
