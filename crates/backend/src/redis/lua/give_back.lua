#!lua flags=allow-oom
-- Gives unstarted jobs back: Queued with that gen, or an older one than the message's; and a new gen after it.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id, gen, reason (unstarted, not_runnable, elsewhere, park) and function of each
-- Returns: the shard's epoch, then of each 1 given back, 0 stale, -1 missing
-- Atomic because a job that was claimed meanwhile must stay with its owner.

local out = { epoch() }
while at < #ARGV do
  local id, gen, reason, fn = arg(), num(), arg(), arg()
  out[#out + 1] = give_back(id, load(id), gen, reason, fn)
end
return done(out)
