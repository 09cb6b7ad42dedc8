#!lua flags=allow-oom
-- Deletes ended jobs whose retention is over; tombstones stay. Parents are kept until their children are told.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit, then status and retention in milliseconds of each
-- Returns: deleted, held by children
-- Atomic because a child that registers at the same moment must find its parent or the tombstone.

local left, deleted, held, letters = num(), 0, 0, 0

local function prune(index, keep)
  left = left - each(index, NOW - keep, left, function(r)
    if (r.K or 0) > 0 or r.R then
      tell_gone(r)
      save(r)
      held = held + 1
    else
      -- Its twin in the archive is stale from now on.
      if r.s == FAILED then letters = letters + 1 end
      bury(r, keep)
      deleted = deleted + 1
    end
  end)
end

while at < #ARGV do
  local index, keep = 'finished:' .. arg(), num()
  local buckets = call('ZRANGEBYSCORE', P .. index, '-inf', NOW - keep, 'LIMIT', 0, left)
  for _, bucket in ipairs(buckets) do
    if left > 0 then prune(index .. ':' .. bucket, keep) end
    flush()
    -- The next job that ends may go into this very bucket: then it is entered anew.
    if call('EXISTS', P .. index .. ':' .. bucket) == 0 then call('ZREM', P .. index, bucket) end
  end
end
if letters > 0 then call('HINCRBY', KEYS[1], 'removals', letters) end
return done({ deleted, held })
