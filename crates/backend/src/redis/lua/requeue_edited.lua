#!lua flags=allow-oom
-- Dead letters whose arguments a person has changed are queued again, as if they had never run.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then of each: id, gen with which it was read, envelope
-- Returns: of each: done, not_dead or past_deadline
-- Atomic because a letter must never be queued with its old envelope, nor get a new one while it runs.

local changed, out = 0, {}
while at < #ARGV do
  local r, gen, envelope = load(arg()), num(), arg()
  if r and r.g == gen + 1 and call('GET', P .. 'p:' .. r.id) == envelope then
    -- The answer to this very edit was lost.
    out[#out + 1] = 'done'
  elseif not r or r.s ~= FAILED or r.g ~= gen then
    out[#out + 1] = 'not_dead'
  elseif r.d and r.d <= NOW then
    out[#out + 1] = 'past_deadline'
  else
    call('SET', P .. 'p:' .. r.id, envelope)
    requeue(r)
    changed = changed + 1
    out[#out + 1] = 'done'
  end
end
if changed > 0 then call('HINCRBY', KEYS[1], 'removals', changed) end
return done(out)
