#!lua flags=allow-oom
-- Finishes attempts, then claims jobs.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, worker; number of plain finishes, which completed a job and tell no progress, then of each: id, nonce,
--   result; number of other finishes, then of each: id, nonce, outcome (completed, failed, retry, snooze, released,
--   cancelled, expired), delay in milliseconds, result or encoded error, the error as a line, progress or '', lines of
--   the log (see `read_lines`); then of each claim: id, gen, nonce
-- Returns: the time in microseconds; of each finish: the status it came to, -1 lost, -2 missing; then of each claim its
--   answer (see `claim`), which is `first` alone for a first attempt: of this gen, fence and start are that time
-- Atomic because ownership is checked and ended in one step: two finishes of one attempt, or a finish and a takeover,
--   must not both be accepted.

-- Undoes a start, or fails, or waits: the status that the outcome leads to.
local function accept(r, outcome, delay, data, line)
  local ran = r.S and math.max(NOW - r.S, 0)
  if outcome == 'completed' then
    keep_result(r, data)
    settle(r, COMPLETED, ran)
  elseif r.c or outcome == 'cancelled' then
    -- A cancel turns every other outcome into itself.
    remember(r, 'cancelled', line)
    settle(r, CANCELLED, ran)
  elseif outcome == 'failed' then
    remember(r, 'failed', line)
    keep_error(r, data)
    settle(r, FAILED, ran)
  elseif outcome == 'retry' then
    note(r, 'r', ran)
    remember(r, 'retry', line)
    keep_error(r, data)
    put(r, 'y', r.y + 1)
    to_waiting(r, RETRYING, NOW + delay)
  elseif outcome == 'expired' then
    remember(r, 'expired', '')
    settle(r, EXPIRED, ran)
  else
    note(r, outcome == 'snooze' and 's' or 'u')
    put(r, 'a', math.max(r.a - 1, 0))
    if outcome == 'snooze' then to_waiting(r, SCHEDULED, NOW + delay) else to_queued(r, NOW) end
  end
end

local function finish(id, nonce, outcome, delay, data, line, progress, lines)
  local r = load(id)
  if not r then
    local known = tombstone(id)
    if not known then return -2 end
    return known.n == nonce and known.s or -1
  end
  if r.o ~= nonce then return r.n == nonce and r.N or -1 end
  if progress ~= '' then call('SET', P .. 'g:' .. id, progress) end
  if #lines > 0 then put(r, 'j', add_lines(id, r.j or 0, lines)) end
  accept(r, outcome, delay, data, line)
  put(r, 'n', nonce)
  put(r, 'N', r.s)
  save(r)
  return r.s
end

-- A finish has eight parts, a claim four.
return function(out, i, id, ...)
  if i then out[i] = finish(id, ...) else claim(out, id, ...) end
  flush()
end
---- direct
-- Names of indexes, made once.
local outboxes, ended_in = {}, {}

-- Ends an attempt that completed a job which nobody waits for and which has told no progress. Answers whether it did.
local function complete(id, nonce, data)
  local key = J .. id
  local seen = call('HMGET', key, 's', 'o', 'S', 'q', 'fn', 'K', 'z')
  local started = seen[3]
  if seen[1] ~= '3' or seen[2] ~= nonce or not started or seen[6] or seen[7] then return false end
  local bucket = text(end_bucket(COMPLETED, NOW))
  local index = ended_in[bucket]
  if not index then
    index = 'finished:5:' .. bucket
    ended_in[bucket] = index
  end
  -- The owner stays, and says who finished it (see `load`).
  if #data <= RESULT_IN_RECORD then
    call('HSET', key, 's', '5', 'f', NOW_TEXT, 'B', bucket, 'i', data)
  else
    call('HSET', key, 's', '5', 'f', NOW_TEXT, 'B', bucket)
    keep(P .. 'r:' .. id, data)
  end
  call('HDEL', key, 'w', 'u', 'A', 'x', 'p')
  rem('running', id)
  add(index, NOW_TEXT, id)
  local place = place_of(seen[4], seen[5])
  local by = place.by
  by[3], by[5] = by[3] - 1, by[5] + 1
  time_in(place.runs, NOW - started)
  if is_watched then wake(id, '5') end
  return true
end

local worker, FENCE_TEXT = arg(), text(NOW_US)

-- Starts a job for the first time that may start. Answers whether it did.
local function start(id, gen, nonce)
  local key = J .. id
  -- Only a record that has never started has no attempts, not even none: nobody has asked to cancel it, or lost it. One
  -- that was never given back is not parked, and whatever is given back gets a gen above the first.
  local seen = gen == '1' and call('HMGET', key, 's', 'g', 'q', 'P', 'fn', 'A', 'x', 'a', 'e', 'd')
    or call('HMGET', key, 's', 'g', 'q', 'P', 'fn', 'A', 'x', 'a', 'e', 'd', 'b')
  if seen[1] ~= '2' or seen[2] ~= gen or seen[8] or seen[9] or seen[10] or seen[11] then return false end
  local q, priority, since, unpublished = seen[3], seen[4], seen[6], seen[7]
  if is_paused(q) then return false end
  call('HSET', key, 's', '3', 'a', '1', 'o', nonce, 'w', worker, 'F', FENCE_TEXT, 'u', LEASE_TEXT, 'S', NOW_TEXT)
  local place = place_of(q, seen[5])
  if unpublished then
    local index = outboxes[priority]
    if not index then
      index = 'outbox:' .. priority
      outboxes[priority] = index
    end
    rem(index, id)
  else
    local index = place.ready[priority]
    if not index then
      index = 'ready:' .. q .. ':' .. priority
      place.ready[priority] = index
    end
    rem(index, id)
  end
  -- `x` and `p` stay, and say nothing of a job that runs (see `load`); they go with the rest at its end.
  add('running', LEASE_TEXT, id)
  local by = place.by
  by[2], by[3] = by[2] - 1, by[3] + 1
  if since then time_in(place.waits, NOW - since) else place.waits[''] = (place.waits[''] or 0) + 1 end
  if is_watched then wake(id, '3') end
  return true
end

local out, ARGV = { NOW_US }, ARGV
for i = 2, num() + 1 do
  local id, nonce, data = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  at = at + 3
  if complete(id, nonce, data) then
    out[i] = COMPLETED
  else
    rarely(out, i, id, nonce, 'completed', 0, data, '', '', {})
  end
end
for i = #out + 1, #out + num() do
  local id, nonce, outcome, delay, data = arg(), arg(), arg(), num(), arg()
  local line, progress, lines = arg(), arg(), read_lines()
  -- Plain ones stand here as well, behind one that is not.
  local is_plain = outcome == 'completed' and progress == '' and not lines[1]
  if is_plain and complete(id, nonce, data) then
    out[i] = COMPLETED
  else
    rarely(out, i, id, nonce, outcome, delay, data, line, progress, lines)
  end
end
local last, n = #ARGV, #out
while at < last do
  local id, gen, nonce = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  at = at + 3
  if start(id, gen, nonce) then
    n = n + 1
    out[n] = 'first'
  else
    rarely(out, nil, id, tonumber(gen), nonce, worker)
    n = #out
  end
end
return done_direct(out)
