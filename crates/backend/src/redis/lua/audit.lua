#!lua flags=allow-oom
-- Published jobs that are certainly out of the broker go back to the outbox, leased, with the same gen.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit, then queue, priority and time of each watermark
-- Returns: as lease_outbox
-- Atomic because a job that was claimed or republished meanwhile must be left alone.

local limit, out = num(), { epoch(), 0 }
while at < #ARGV do
  local queue, priority, before = arg(), arg(), arg()
  if out[2] < limit and not is_paused(queue) then
    out[2] = out[2] + each('ready:' .. queue .. ':' .. priority, '(' .. before, limit - out[2], function(r)
      if is_full() then return end
      put(r, 'x', NOW + OUTBOX_LEASE)
      save(r)
      dispatch(out, r)
    end)
  end
end
if is_full() then out[2] = limit end
return done(out)
