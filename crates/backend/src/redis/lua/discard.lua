#!lua flags=allow-oom
-- Deletes dead letters that died before a time; a tombstone stays. Those with children are kept until these are told.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, time, then the ids
-- Returns: of each: done, children or not_dead
-- Atomic because a letter that is requeued at the same moment must stay, and a deleted one must leave its tombstone.

local before, changed, out = num(), 0, {}
while at < #ARGV do
  local r = load(arg())
  if not r or r.s ~= FAILED or r.f >= before then
    out[#out + 1] = 'not_dead'
  elseif (r.K or 0) > 0 then
    tell_gone(r)
    save(r)
    out[#out + 1] = 'children'
  else
    bury(r, RETENTION)
    changed = changed + 1
    out[#out + 1] = 'done'
  end
end
if changed > 0 then call('HINCRBY', KEYS[1], 'removals', changed) end
return done(out)
