#!lua flags=allow-oom
-- Due Scheduled and Retrying jobs become Queued, leased to the caller, who publishes them.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: as lease_outbox
-- Atomic because a job must be promoted once, and never sit in two indexes or in none.

local limit, out = num(), { epoch(), 0 }
out[2] = each_urgent('due', limit, function(r)
  if is_full() then return end
  local to = r.c and CANCELLED or is_past_its_time(r) and EXPIRED
  if to then
    settle(r, to)
    save(r)
  else
    to_queued(r, NOW + OUTBOX_LEASE)
    save(r)
    dispatch(out, r)
  end
end)
if is_full() then out[2] = limit end
return done(out)
