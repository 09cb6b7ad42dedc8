#!lua flags=allow-oom
-- Leases due outbox rows to the caller, who publishes them; the most urgent first.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: epoch, rows looked at, then of each dispatch: id, gen, queue, priority, attempts, retries, losts, envelope
-- Atomic because two schedulers must not lease the same row.

local out = { epoch(), 0 }
out[2] = each_urgent('outbox', num(), function(r)
  put(r, 'x', NOW + OUTBOX_LEASE)
  save(r)
  dispatch(out, r)
end)
return done(out)
