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
-- Names of indexes, and what an end in a bucket writes, made once.
local outboxes, ended_in, ended_as = {}, {}, {}

-- Ends an attempt that completed a job which nobody waits for and which has told no progress. Answers whether it did.
local function complete(id, nonce, data)
  local record = record_of(id)
  if not record or sub(record, 2, 3) ~= '3-' or sub(record, 32, 47) ~= nonce then return false end
  local started, q, fn = read('>d', record, 8), read('>Bc0Bc0', record, 115)
  local bucket = end_bucket(COMPLETED, NOW)
  local index, ended = ended_in[bucket], ended_as[bucket]
  if not index then
    index, ended = 'finished:5:' .. text(bucket), pack('>dI4I2', NOW, bucket + 1, 0)
    ended_in[bucket], ended_as[bucket] = index, ended
  end
  local size = 0
  if #data <= RESULT_IN_RECORD then
    size = #data + 1
  else
    keep(P .. 'r:' .. id, data)
    data = ''
  end
  -- The owner stays, and says who finished it (see `load`). Its worker goes, which stands at the end.
  write_record(
    id,
    sub(record, 1, 1) .. '5-' .. sub(record, 4, 23) .. NOTHING_8 .. nonce .. ended .. string.char(size)
      .. sub(record, 63, -1 - read('>I2', record, 60)) .. data
  )
  rem('running', id)
  add(index, NOW_TEXT, id)
  local place = place_of(q, fn)
  local by = place.by
  by[3], by[5] = by[3] - 1, by[5] + 1
  if not place.runs then place.runs = {} end
  time_in(place.runs, NOW - started)
  if is_watched then wake(id, '5') end
  return true
end

local worker = arg()
local LEASE_TEXT, NEVER_STARTED = text(NOW + LEASE), '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
-- What a start writes before the nonce, and after it.
local STARTED, BY = pack('>I4ddd', 1, NOW, NOW_US, NOW + LEASE), pack('>dI4I2B', 0, 0, #worker, 0)

-- Starts a job for the first time that may start. Answers whether it did.
local function start(id, gen, nonce)
  local record = record_of(id)
  -- It has nothing but a name and tags: nobody has asked to cancel it or given it back.
  if not record or sub(record, 2, 3) ~= '2-' then return false end
  -- No attempts, start, fence, retries or losts.
  if sub(record, 4, 23) ~= NEVER_STARTED or sub(record, 99, 106) ~= NOTHING_8 then return false end
  local priority, known_gen, since, unpublished = sub(record, 1, 1), read('>I4dd', record, 63)
  if known_gen ~= tonumber(gen) then return false end
  local q, fn = read('>Bc0Bc0', record, 115)
  if is_paused(q) then return false end
  write_record(id, priority .. '3-' .. STARTED .. nonce .. BY .. sub(record, 63) .. worker)
  local place = place_of(q, fn)
  if unpublished ~= 0 then
    local index = outboxes[priority]
    if not index then
      index = 'outbox:' .. priority
      outboxes[priority] = index
    end
    rem(index, id)
  else
    if not place.ready then place.ready = {} end
    local index = place.ready[priority]
    if not index then
      index = 'ready:' .. q .. ':' .. priority
      place.ready[priority] = index
    end
    rem(index, id)
  end
  add('running', LEASE_TEXT, id)
  local by = place.by
  by[2], by[3] = by[2] - 1, by[3] + 1
  if not place.waits then place.waits = {} end
  if since ~= 0 then time_in(place.waits, NOW - since) else place.waits[''] = (place.waits[''] or 0) + 1 end
  if is_watched then wake(id, '3') end
  return true
end

-- Every third argument between these two places.
local function ids_between(first, last)
  local ids = {}
  for i = first, last, 3 do ids[#ids + 1] = ARGV[i] end
  return ids
end

local out, ARGV, plain = { NOW_US }, ARGV, num()
read_records(ids_between(at + 1, at + plain * 3))
for i = 2, plain + 1 do
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
read_records(ids_between(at + 1, last))
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
