#!lua flags=allow-oom
-- Cancels jobs that have not started; asks the owners of running ones to stop.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and reason of each
-- Returns: of each: what it did (cancelled, requested, over, unknown) and its status
-- Atomic because a claim or finish at the same moment must see the flag or have come before it.

local out = {}
while at < #ARGV do
  local what, s = cancel(arg(), arg())
  out[#out + 1] = what
  out[#out + 1] = s
end
return done(out)
