#!lua flags=allow-oom
-- Takes Running jobs from owners whose lease is over, unless the sweep itself has been away.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: milliseconds of pause, queued again, failed, cancelled
-- Atomic because a beat at the same moment must either hold the lease or come too late.

pull_back('running', 'u', LEASE)
local pause = look()
if pause then return { pause, 0, 0, 0 } end
local requeued, failed, cancelled = 0, 0, 0
each('running', NOW, num(), function(r)
  if not lose(r) then
    to_queued(r, NOW)
    requeued = requeued + 1
  elseif r.s == CANCELLED then
    cancelled = cancelled + 1
  else
    failed = failed + 1
  end
  save(r)
end)
return done({ 0, requeued, failed, cancelled })
