#!lua flags=allow-oom
-- Messages that the broker gave up: a Running job counts a lost, once for each dispatch; a Queued one goes to the
-- outbox.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and gen of each
-- Returns: of each: 1 when the job is known
-- Atomic because only the dispatch that is in force counts.

local function count_lost(r)
  -- The message comes again when whoever reported it crashed before the ack.
  if r.L == r.g then return end
  put(r, 'L', r.g)
  note(r, 'l')
  put(r, 'l', r.l + 1)
  remember(r, 'lost', 'the broker gave its message up')
  if r.l < LOSTS then return end
  if r.c then
    settle(r, CANCELLED)
  else
    fail(r, 'worker_lost', 'the broker gave its message up after too many lost workers')
  end
end

local function gave_up(id, gen)
  local r = load(id)
  if not r then return call('EXISTS', P .. 't:' .. id) end
  if r.g == gen then
    if r.s == RUNNING then
      count_lost(r)
    elseif r.s == QUEUED and not r.k then
      put(r, 'x', NOW)
      cut(r, 'p')
    end
    save(r)
  end
  return 1
end

local out = {}
while at < #ARGV do out[#out + 1] = gave_up(arg(), num()) end
return done(out)
