#!lua flags=allow-oom
-- Dead letters that died before a time are queued again, as if they had never run.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, time, then the ids
-- Returns: of each: done, not_dead or past_deadline
-- Atomic because two people may requeue the same letter; its twin is stale from then on.

local before, changed, out = num(), 0, {}
while at < #ARGV do
  local r = load(arg())
  if not r or r.s ~= FAILED or r.f >= before then
    out[#out + 1] = 'not_dead'
  elseif r.d and r.d <= NOW then
    -- It would be Expired at the next sweep, and its children cancelled.
    out[#out + 1] = 'past_deadline'
  else
    requeue(r)
    changed = changed + 1
    out[#out + 1] = 'done'
  end
end
if changed > 0 then call('HINCRBY', KEYS[1], 'removals', changed) end
return done(out)
