#!lua flags=allow-oom
-- Finishes attempts, then claims jobs.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed; number of finishes, then of each: id, nonce, outcome (completed, failed, retry, snooze, released,
--   cancelled, expired), delay in milliseconds, result or encoded error, the error as a line, progress or '', lines of
--   the log (see `read_lines`); then of each claim: id, gen, nonce, worker
-- Returns: of each finish: the status it came to, -1 lost, -2 missing; then of each claim its answer (see `claim`)
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
-- Ends an attempt that completed a job which nobody waits for and which has told no progress. Answers whether it did.
local function complete(id, nonce, data)
  local key = P .. 'j:' .. id
  local seen = call('HMGET', key, 'o', 'S', 'q', 'fn', 'K', 'z')
  local started, q, fn = seen[2], seen[3], seen[4]
  if seen[1] ~= nonce or not started or seen[5] or seen[6] then return false end
  local bucket = text(end_bucket(COMPLETED, NOW))
  if #data <= RESULT_IN_RECORD then
    call('HSET', key, 's', '5', 'f', NOW_TEXT, 'B', bucket, 'n', nonce, 'N', '5', 'i', data)
  else
    call('HSET', key, 's', '5', 'f', NOW_TEXT, 'B', bucket, 'n', nonce, 'N', '5')
    keep(P .. 'r:' .. id, data)
  end
  call('HDEL', key, 'o', 'w', 'u', 'A', 'x', 'p')
  rem('running', id)
  add('finished:5:' .. bucket, NOW_TEXT, id)
  happen('c', bucket_of(math.max(NOW - started, 0)), ':' .. q .. ':' .. fn)
  moved(q, ':3:', ':5:', fn)
  wake(id, '5')
  return true
end

-- Starts a job for the first time that may start. Answers whether it did.
local function start(out, id, gen, nonce, worker)
  local key = P .. 'j:' .. id
  -- Only a record that has never started has no attempts, not even none: nobody has asked to cancel it, or lost it.
  -- One that was never given back is not parked.
  local seen = call('HMGET', key, 's', 'g', 'q', 'P', 'fn', 'A', 'x', 'a', 'b', 'e', 'd')
  if seen[1] ~= '2' or seen[2] ~= gen or seen[8] or seen[9] or seen[10] or seen[11] then return false end
  local q, priority, fn, since, unpublished = seen[3], seen[4], seen[5], seen[6], seen[7]
  if is_paused(q) then return false end
  call('HSET', key, 's', '3', 'a', '1', 'o', nonce, 'w', worker, 'F', text(NOW_US), 'u', LEASE_TEXT, 'S', NOW_TEXT)
  if unpublished then
    rem('outbox:' .. priority, id)
  else
    rem('ready:' .. q .. ':' .. priority, id)
  end
  -- `x` and `p` stay, and say nothing of a job that runs (see `load`); they go with the rest at its end.
  add('running', LEASE_TEXT, id)
  happen('w', since and bucket_of(math.max(NOW - since, 0)) or '', ':' .. q .. ':' .. fn)
  moved(q, ':2:', ':3:', fn)
  wake(id, '3')
  local n = #out
  out[n + 1], out[n + 2], out[n + 3], out[n + 4], out[n + 5] = 'run', 1, 0, 0, NOW_US
  out[n + 6], out[n + 7], out[n + 8] = tonumber(gen), NOW, 0
  return true
end

local out = {}
for i = 1, num() do
  local id, nonce, outcome, delay = arg(), arg(), arg(), num()
  local data, line, progress, lines = arg(), arg(), arg(), read_lines()
  if outcome == 'completed' and progress == '' and not lines[1] and complete(id, nonce, data) then
    out[i] = COMPLETED
  else
    rarely(out, i, id, nonce, outcome, delay, data, line, progress, lines)
  end
end
while at < #ARGV do
  local id, gen, nonce, worker = arg(), arg(), arg(), arg()
  if not start(out, id, gen, nonce, worker) then rarely(out, nil, id, tonumber(gen), nonce, worker) end
end
flush_direct()
return done(out)
