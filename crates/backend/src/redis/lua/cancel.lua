#!lua flags=allow-oom
-- Cancels jobs that have not started; asks the owners of running ones to stop.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and reason of each
-- Returns: of each: what it did (cancelled, requested, over, unknown) and its status
-- Atomic because a claim or finish at the same moment must see the flag or have come before it.

local function cancel(id, reason)
  local r = load(id)
  if not r then
    local known = tombstone(id)
    if known then return 'over', known.s end
    return 'unknown', 0
  end
  if r.s >= COMPLETED then return 'over', r.s end
  -- The first reason stays: it is the one that the job ends for.
  if not r.c then put(r, 'c', reason) end
  local what = 'requested'
  if r.s == RUNNING then
    redis.pcall('PUBLISH', 'longshore:hint', id)
    wake(id, text(r.s))
  else
    settle(r, CANCELLED)
    what = 'cancelled'
  end
  save(r)
  return what, r.s
end

local out = {}
while at < #ARGV do
  local what, s = cancel(arg(), arg())
  out[#out + 1] = what
  out[#out + 1] = s
end
return done(out)
