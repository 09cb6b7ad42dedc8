#!lua flags=allow-oom
-- Leases due outbox rows to the caller, who publishes them; the most urgent first.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: epoch, rows looked at (the limit when more may be due), then of each dispatch: id, gen, queue, priority, attempts, retries, losts, envelope
-- Atomic because two schedulers must not lease the same row.

local limit, out = num(), { epoch(), 0 }
for priority = 0, 3 do pull_back('outbox:' .. priority, 'x', OUTBOX_AHEAD) end
out[2] = each_urgent('outbox', limit, function(r)
  if is_full() then return end
  put(r, 'x', NOW + OUTBOX_LEASE)
  save(r)
  dispatch(out, r)
end)
if is_full() then out[2] = limit end
return done(out)
