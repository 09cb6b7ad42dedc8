-- Records: how they are loaded, changed and saved, and how jobs move. `base.lua` is put before this file.
--
-- A script loads a record, changes it, and saves it. Which index rows a record has follows from the record (`rows`),
-- and `save` writes the difference: an index cannot disagree with a status. Nothing is written before the arguments
-- of a job are read whole.
--
-- Some scripts run for every job (`enqueue`, `mark_published`, `step`) or for most of a kind (`promote`, `lease_outbox`,
-- `settle_edges`). What they do to a job that takes no turn is written out there by hand, and leaves the same fields and
-- rows as the words below (the walks in `twin.rs` compare them). Every other job goes the way of these words, which are
-- made only then (see `direct.lua`).

-- An empty argument stands for nothing.
local function opt()
  local value = arg()
  if value == '' then return nil end
  return value
end

-- The sweep over leases: answers how long leases that look over must be left alone, or nothing. After an outage, a
-- restart, a clock jump or a failover nobody could beat.
local function look()
  local seen = call('HMGET', KEYS[1], 'seen', 'pause')
  local last, pause = tonumber(seen[1]), tonumber(seen[2]) or 0
  call('HSET', KEYS[1], 'seen', NOW)
  if NOW < pause then
    local left = pause - NOW
    if left > LEASE then call('HSET', KEYS[1], 'pause', NOW + LEASE) end
    return math.min(left, LEASE)
  end
  if not last or NOW - math.max(last, pause) <= LEASE / 2 then return nil end
  call('HSET', KEYS[1], 'pause', NOW + LEASE)
  return LEASE
end

-- Counts a change of a record's status.
local function tally(r, status, by)
  local field = r.q .. ':' .. status .. ':' .. r.fn
  counts[field] = (counts[field] or 0) + by
end

-- Counts what happened to a record, see `count.lua`. Code: n enqueued, w started, c completed, f failed, x cancelled,
-- e expired, r retried, s snoozed, u handed back, l worker lost, q a dead letter queued again. The time is what it waited
-- or ran for, or nothing.
local function note(r, code, time)
  local field = code .. (time and bucket_of(time) or '') .. ':' .. r.q .. ':' .. r.fn
  happened[field] = (happened[field] or 0) + 1
end

-- Index rows: gathered here by index and id, the last word for each (a score, or false for no row), and written
-- together by `flush`, one command an index. A row a command is what most of a script's time would go to.
local pending = {}
local function row(index, id, score)
  local rows = pending[index]
  if not rows then
    rows = {}
    pending[index] = rows
  end
  rows[id] = score
end

local function flush_index(index, rows)
  local add, rem = { 'ZADD', P .. index }, { 'ZREM', P .. index }
  for id, score in pairs(rows) do
    if score then
      add[#add + 1] = score
      add[#add + 1] = id
    else
      rem[#rem + 1] = id
    end
    if #add > 1000 then
      call(unpack(add))
      add = { 'ZADD', P .. index }
    end
    if #rem > 1000 then
      call(unpack(rem))
      rem = { 'ZREM', P .. index }
    end
  end
  if #add > 2 then call(unpack(add)) end
  if #rem > 2 then call(unpack(rem)) end
end

local function flush()
  for index, rows in pairs(pending) do flush_index(index, rows) end
  pending = {}
end

-- Whether a row of `rel` was made: schedulers are told once a script.
local has_ended_parents = false
-- What people want to know: gathered here, each with the job whose error belongs to it, and written by `done` while
-- somebody wants it. A full list keeps the number of what it had no room for.
local noted = {}
local function notice(...)
  noted[#noted + 1] = { ... }
end

local function write_notices()
  local key = P .. 'notices'
  if (tonumber(call('HGET', KEYS[1], 'notices') or nil) or 0) <= NOW then return end
  local left = NOTICES - call('LLEN', key)
  for i, row in ipairs(noted) do
    if i > left then
      call('HINCRBY', KEYS[1], 'notices_dropped', #noted - i + 1)
      return
    end
    -- The error stands in the job's own key by now.
    if row[1] == 'd' then row[#row + 1] = call('GET', P .. 'e:' .. row[2]) or '' end
    call('RPUSH', key, cmsgpack.pack({ call('HINCRBY', KEYS[1], 'notices_last', 1), NOW, row }))
  end
end

last_words = function()
  if noted[1] then write_notices() end
  flush()
  if has_ended_parents then redis.pcall('PUBLISH', 'longshore:rel', '') end
end

local function put(r, field, value)
  r[field], r.is_changed = value, true
end

local function cut(r, field)
  if r[field] ~= nil then put(r, field, nil) end
end

local function gives_up_at(r)
  local expiry = not r.S and r.e or nil
  if expiry and r.d then return math.min(expiry, r.d) end
  return expiry or r.d
end

local function is_past_its_time(r)
  local last = gives_up_at(r)
  return last ~= nil and last <= NOW
end

-- Where jobs of a queue stand among those that are parked for a function: side by side, so that a worker's are found
-- without a look at the others.
local function parking_of(queue)
  return tonumber(string.sub(redis.sha1hex(queue), 1, 12), 16)
end

-- The index rows that a record must have: key to score.
local function rows(r)
  local s, out = r.s, {}
  if s == QUEUED then
    if r.k then
      out['parked:' .. r.k] = parking_of(r.q)
    elseif r.x then
      out['outbox:' .. r.P] = r.x
    else
      out['ready:' .. r.q .. ':' .. r.P] = r.p
    end
  elseif s == RUNNING then
    out.running = r.u
    return out
  elseif s == BLOCKED then
    out.edges = r.v
  elseif s < COMPLETED then
    out['due:' .. r.P] = r.r
  else
    out['finished:' .. s .. ':' .. r.B] = r.f
    out.rel = r.R
    if s == FAILED and not r.D then out.dead = r.f end
    return out
  end
  out.expiring = gives_up_at(r)
  return out
end

-- Fields that are texts, where all were.
local TEXTS = { o = 1, w = 1, k = 1, c = 1, n = 1, h = 1, fn = 1, nm = 1, q = 1, t = 1, i = 1 }

-- A record of an earlier build: a hash of the fields. Whatever changes it writes it as it is now.
local function hash_of(id)
  local flat, r = call('HGETALL', P .. 'j:' .. id), { g = 0, a = 0, y = 0, l = 0 }
  for i = 1, #flat, 2 do r[flat[i]] = TEXTS[flat[i]] and flat[i + 1] or tonumber(flat[i + 1]) end
  -- A start left them behind.
  if r.s ~= QUEUED then r.x, r.p = nil, nil end
  return r
end

-- The fields of a record, or nothing.
local function record(id)
  local text = redis.pcall('GET', P .. 'j:' .. id)
  if not text then return nil end
  return type(text) == 'string' and decode(text) or hash_of(id)
end

-- The record of a job, to be changed and saved, or nothing.
local function load(id)
  local r = record(id)
  if not r then return nil end
  r.id = id
  -- Whoever completed a job is its owner still: that spares two fields.
  if r.s >= COMPLETED and r.o then
    put(r, 'n', r.o)
    put(r, 'N', r.s)
    cut(r, 'o')
  end
  r.before, r.was = rows(r), r.s
  return r
end

-- What `record` or `load` answers; false when what is there can be no record. That is for a person, whom the doctor tells of
-- it, and stops nothing that other jobs need.
local function try(read, id)
  local is_read, r = pcall(read, id)
  if is_read then return r end
  return false
end

-- Whether what is under a job's key can be a record: whoever wrote something else there must break no script.
local function is_readable(id)
  local r = try(record, id)
  if not (r and r.s and r.s >= BLOCKED and r.s <= EXPIRED) then return false end
  return r.q and r.P and r.C and (r.s < COMPLETED or r.B) and true or false
end

-- Adds lines to a job's log, each after its place in it, and answers how many its attempt has said. Those up to `said`
-- were added before: the answer to that call was lost.
local function add_lines(id, said, lines)
  local key = P .. 'lg:' .. id
  local last = call('LINDEX', key, -1)
  local place = last and tonumber(string.match(last, '^%d+')) or 0
  for _, line in ipairs(lines) do
    if line[1] > said then
      said, place = line[1], place + 1
      call('RPUSH', key, text(place) .. ' ' .. line[2])
    end
  end
  call('LTRIM', key, -LOG_LINES, -1)
  return said
end

-- A record where there was none. Its fields are put by the caller.
local function new(id)
  return { id = id, before = {}, g = 0, a = 0, y = 0, l = 0 }
end

local function save(r)
  local id = r.id
  if r.is_changed then call('SET', P .. 'j:' .. id, encode(r)) end
  local before, after = r.before, rows(r)
  for index in pairs(before) do
    if after[index] == nil then row(index, id, false) end
  end
  for index, score in pairs(after) do
    if before[index] ~= score then row(index, id, text(score)) end
  end
  if after.rel and not before.rel then has_ended_parents = true end
  if r.was ~= r.s then
    if r.was then
      tally(r, r.was, -1)
      wake(id, text(r.s))
    else
      row('all', id, text(r.C))
    end
    tally(r, r.s, 1)
  end
  r.before, r.was, r.is_changed = after, r.s, false
end

-- Takes a record away, with all its parts and rows.
local function forget(r)
  local id = r.id
  for index in pairs(r.before) do row(index, id, false) end
  row('all', id, false)
  tally(r, r.was, -1)
  local keys = { 'UNLINK' }
  for part in string.gmatch('j p r e h o pr kt kw g gs lg', '%a+') do keys[#keys + 1] = P .. part .. ':' .. id end
  call(unpack(keys))
  wake(id, text(r.was))
end

-- Tombstones: what stays of a job whose record was deleted, so that nothing late revives it.

local function tombstone(id)
  local text = call('GET', P .. 't:' .. id)
  if not text then return nil end
  local s, g, h, n = string.match(text, '^(%d) (%d+) (%x+) ?(.*)$')
  return { s = tonumber(s), g = tonumber(g), h = h, n = n }
end

local function bury(r, keep)
  local text = r.s .. ' ' .. r.g .. ' ' .. r.h
  if r.n and r.N == r.s then text = text .. ' ' .. r.n end
  call('SET', P .. 't:' .. r.id, text, 'PX', string.format('%.0f', math.max(keep, RETENTION)))
  forget(r)
end

-- How jobs move. These say the same as the pure transitions of the core, in the same words.

-- Since when a record that comes into a status can run: since it was due, wherever it waited in vain after that. Whoever
-- lost its worker can run from now on.
local function ready(r, to)
  if to ~= QUEUED and to ~= RUNNING then
    cut(r, 'A')
  elseif to == QUEUED and (r.s == SCHEDULED or r.s == RETRYING) then
    put(r, 'A', math.min(r.r or NOW, NOW))
  elseif r.s ~= QUEUED then
    put(r, 'A', NOW)
  end
end

-- Moves a record into a status, out of whatever place it waited in. Whoever calls gives it its new place.
local function enter(r, to)
  ready(r, to)
  if r.s == BLOCKED then
    call('DEL', P .. 'o:' .. r.id)
    cut(r, 'v')
    cut(r, 'E')
    cut(r, 'U')
    cut(r, 'm')
  end
  put(r, 's', to)
  cut(r, 'o')
  cut(r, 'w')
  cut(r, 'u')
  cut(r, 'x')
  cut(r, 'p')
  cut(r, 'k')
  cut(r, 'r')
end

local function to_queued(r, publish_at)
  enter(r, QUEUED)
  put(r, 'g', r.g + 1)
  put(r, 'x', publish_at)
end

local function to_waiting(r, to, run_at)
  enter(r, to)
  put(r, 'r', run_at)
end

-- Whether somebody must be told of the job's end. Children that wait for a requeue are told only that it is gone.
local function has_children_to_tell(r, gone)
  local children = r.K or 0
  if r.s == FAILED and not gone then return children > (r.W or 0) end
  return children > 0
end

local function ends_at(r, time)
  put(r, 'B', end_bucket(r.s, time))
  put(r, 'f', time)
end

local ENDS = { [COMPLETED] = 'c', [FAILED] = 'f', [CANCELLED] = 'x', [EXPIRED] = 'e' }

-- The one way in which jobs end: their place, their end, their children's row and their dead row follow from here.
-- `ran` is how long the attempt took that ended it, or nothing.
local function settle(r, to, ran)
  note(r, ENDS[to], ran)
  enter(r, to)
  ends_at(r, NOW)
  cut(r, 'D')
  cut(r, 'G')
  if has_children_to_tell(r, false) then put(r, 'R', NOW) else cut(r, 'R') end
  if to == FAILED then notice('d', r.id, r.g, r.fn, r.q, r.a) end
  if r.z then
    call('UNLINK', P .. 'gs:' .. r.id)
    cut(r, 'z')
  end
end

-- A dead letter is queued again, as if it had never run.
local function requeue(r)
  note(r, 'q')
  to_queued(r, NOW)
  put(r, 'a', 0)
  put(r, 'y', 0)
  put(r, 'l', 0)
  -- Whoever requeues it wants it to run: its expiry counts no more, nor does a cancel.
  for _, field in ipairs({ 'b', 'f', 'B', 'c', 'R', 'G', 'D', 'e' }) do cut(r, field) end
  save(r)
end

local function keep_error(r, encoded)
  call('SET', P .. 'e:' .. r.id, encoded)
end

-- A small result stands in the record: a key of its own takes a hundred bytes more.
local function keep_result(r, data)
  if #data <= RESULT_IN_RECORD then put(r, 'i', data) else call('SET', P .. 'r:' .. r.id, data) end
end

local function result_of(id)
  local kept = call('GET', P .. 'r:' .. id)
  if kept then return kept end
  local r = record(id)
  return r and r.i or false
end

-- Ends a job as Failed for a reason that no worker reported.
local function fail(r, error_type, message)
  settle(r, FAILED)
  keep_error(r, cmsgpack.pack({ t = error_type, m = message }))
end

-- Cancels a job, or asks its owner to. Answers what it did (see `cancel.lua`), and the status.
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

-- Remembers an attempt that did not complete the job.
local function remember(r, outcome, line)
  local key = P .. 'h:' .. r.id
  local row = cmsgpack.pack({ r.a, r.w or '', r.S or NOW, NOW, outcome, line })
  if call('RPUSH', key, row) > HISTORY then call('LTRIM', key, -HISTORY, -1) end
end

-- Counts a lost worker. Answers whether the job ended by it; what follows otherwise is the caller's.
local function lose(r)
  note(r, 'l')
  put(r, 'l', r.l + 1)
  notice('w', r.id, r.fn, r.q, r.w or 'unknown')
  local message = 'worker ' .. (r.w or 'unknown') .. ' was lost: its lease ended without a beat'
  remember(r, 'lost', message)
  if r.c then
    settle(r, CANCELLED)
    return true
  end
  if r.l >= LOSTS then
    fail(r, 'worker_lost', message .. '; that was loss ' .. r.l .. ' of ' .. LOSTS)
    return true
  end
  return false
end

-- Children that are still there are told that the parent is gone. A row that tells them how it ended goes first.
local function tell_gone(r)
  if not r.R then
    put(r, 'R', NOW)
    put(r, 'G', 1)
  end
end

-- How an ended parent looks to its children: a letter, and its result when there is a small one.
local function outcome_of(s, id)
  if s == COMPLETED then
    local key = P .. 'r:' .. id
    if call('STRLEN', key) > PARENT_RESULT then return 'C', false end
    return 'C', result_of(id)
  end
  return s == FAILED and 'F' or 'X', false
end

-- Records begin. Reads one new job from the arguments: the order is that of `Args::job` in the program.
local function read_job()
  local job = { id = arg(), h = arg(), fn = arg(), nm = opt(), q = arg(), P = num(), t = opt(), C = num() }
  job.r, job.e, job.d = tonumber(opt()), tonumber(opt()), tonumber(opt())
  job.payload = arg()
  local parents = num()
  job.parents = {}
  for i = 1, parents * 2 do job.parents[i] = arg() end
  if job.r and job.r <= NOW then job.r = nil end
  return job
end

-- A record that has not been placed yet.
local function unplaced(job)
  local r = new(job.id)
  for _, field in ipairs({ 'h', 'fn', 'nm', 'q', 'P', 't', 'C', 'e', 'd' }) do
    if job[field] then put(r, field, job[field]) end
  end
  call('SET', P .. 'p:' .. job.id, job.payload)
  return r
end

local function begin(job, within)
  local r = unplaced(job)
  note(r, 'n')
  if #job.parents > 0 then
    put(r, 's', BLOCKED)
    put(r, 'v', NOW + EDGES_GRACE)
    put(r, 'E', NOW)
    if job.r then put(r, 'r', job.r) end
    local key = P .. 'o:' .. job.id
    for i = 1, #job.parents, 1000 do
      call('HSET', key, unpack(job.parents, i, math.min(i + 999, #job.parents)))
    end
  elseif job.r then
    put(r, 's', SCHEDULED)
    put(r, 'r', job.r)
  else
    put(r, 's', QUEUED)
    put(r, 'A', NOW)
    put(r, 'g', 1)
    put(r, 'x', NOW + within)
  end
  save(r)
  return r
end

-- Records a new job, or tells how the known one stands: kind, status, gen, whether it is still unpublished. Its outbox
-- row is due after `within`: at once when the scheduler publishes it.
local function enqueue(job, within)
  if call('EXISTS', P .. 'j:' .. job.id, P .. 't:' .. job.id) == 0 then
    local r = begin(job, within)
    return 'new', r.s, r.g, 0
  end
  local known = load(job.id) or tombstone(job.id)
  if known.h ~= job.h then return 'taken', 0, 0, 0 end
  local unpublished = known.s == QUEUED and known.x and not known.p
  return 'known', known.s, known.g, unpublished and 1 or 0
end

-- Cron entries: `cron` has the next tick of those that are not paused; hashes by name have version, next tick, definition
-- and last job.

-- Raises the version of an entry. It is at least the time, so that one that is made anew goes on above the old one.
local function cron_raise(name)
  local known = tonumber(call('HGET', P .. 'cron:version', name) or nil) or 0
  local version = text(math.max(known + 1, NOW))
  call('HSET', P .. 'cron:version', name, version)
  return version
end

local function cron_made(name, job)
  call('HSET', P .. 'cron:last', name, job.id .. ' ' .. text(NOW))
end

-- An entry in an answer: name, version, next tick, 1 when it is paused, definition, id and time of the last job or two
-- empty texts.
local function cron_row(out, name)
  out[#out + 1] = name
  out[#out + 1] = call('HGET', P .. 'cron:version', name)
  out[#out + 1] = call('HGET', P .. 'cron:next', name)
  out[#out + 1] = call('SISMEMBER', P .. 'cron:paused', name)
  out[#out + 1] = call('HGET', P .. 'cron:entry', name)
  local last = call('HGET', P .. 'cron:last', name)
  local id, at = string.match(last or '', '^(%x+) (%d+)$')
  out[#out + 1] = id or ''
  out[#out + 1] = at or ''
end

-- A delivered job is claimed: the delivery table of the protocol, in its order.

local function granted(out, r)
  out[#out + 1] = 'run'
  for _, field in ipairs({ 'a', 'y', 'l', 'F', 'g', 'S' }) do out[#out + 1] = r[field] or NOW end
  out[#out + 1] = r.c and 1 or 0
end

local function run(out, r, nonce, worker)
  -- A start begins with no progress. A job that has never started has none to take away.
  if r.F then call('DEL', P .. 'g:' .. r.id) end
  cut(r, 'j')
  enter(r, RUNNING)
  put(r, 'a', r.a + 1)
  put(r, 'o', nonce)
  put(r, 'w', worker)
  put(r, 'F', math.max((r.F or 0) + 1, NOW_US))
  put(r, 'u', NOW + LEASE)
  put(r, 'S', NOW)
  cut(r, 'b')
  note(r, 'w', r.A and math.max(NOW - r.A, 0))
  save(r)
  granted(out, r)
end

local function ended(out, s)
  out[#out + 1] = 'ended'
  out[#out + 1] = s
end

local function busy(out, retry_in)
  out[#out + 1] = 'busy'
  out[#out + 1] = retry_in
end

local function claim_running(out, r, gen, nonce, worker)
  if r.o == nonce then
    -- Whoever asks again counts the lease from this answer.
    put(r, 'u', NOW + LEASE)
    save(r)
    return granted(out, r)
  end
  -- A clock that went back must not stretch a lease.
  local left = math.min(r.u and r.u - NOW or LEASE, LEASE)
  if left > 0 then return busy(out, left) end
  local pause = look()
  if pause then return busy(out, pause) end
  -- A cancel ends the job whether its queue is paused or not; nothing else may start while it is.
  if not r.c and is_paused(r.q) then
    out[#out + 1] = 'paused'
    return
  end
  if lose(r) then
    save(r)
    return ended(out, r.s)
  end
  put(r, 'g', math.max(r.g, gen))
  run(out, r, nonce, worker)
end

-- Whether a record that does not run waits for the dispatch of this gen. The store may have gone back in time: then
-- the message knows of a dispatch that the record does not, is in the broker, and is adopted.
local function awaits(r, gen)
  if r.s >= COMPLETED or r.s == RUNNING or gen < r.g or (gen == r.g and r.s ~= QUEUED) then return false end
  if gen > r.g then
    enter(r, QUEUED)
    put(r, 'g', gen)
    put(r, 'p', NOW)
  end
  return true
end

local function claim_waiting(out, r, gen, nonce, worker)
  if not awaits(r, gen) then
    out[#out + 1] = 'stale'
    return
  end
  local to = r.c and CANCELLED or is_past_its_time(r) and EXPIRED
  if to then
    settle(r, to)
    save(r)
    return ended(out, to)
  end
  if is_paused(r.q) then
    save(r)
    out[#out + 1] = 'paused'
    return
  end
  run(out, r, nonce, worker)
end

-- Appends the answer to a claim.
local function claim(out, id, gen, nonce, worker)
  local r = load(id)
  if not r then
    local known = tombstone(id)
    if known then return ended(out, known.s) end
    out[#out + 1] = 'missing'
    out[#out + 1] = epoch()
  elseif r.s >= COMPLETED then
    ended(out, r.s)
  elseif r.s == RUNNING then
    claim_running(out, r, gen, nonce, worker)
  else
    claim_waiting(out, r, gen, nonce, worker)
  end
end

-- Gives an unstarted job back that may be unknown. Answers 1 when it did, 0 when the job waits for another dispatch,
-- runs or has ended, -1 when there is neither record nor tombstone.
local function give_back(id, r, gen, reason, fn)
  if not r then return tombstone(id) and 0 or -1 end
  if not awaits(r, gen) then return 0 end
  local times, publish_at = r.b or 0, NOW
  if reason ~= 'unstarted' then
    -- 0.2 s x 2^n: workers of another build come and go with deployments.
    local max = reason == 'elsewhere' and 1000 or 60000
    if reason ~= 'park' then publish_at = NOW + math.min(200 * 2 ^ math.min(times, 16), max) end
    put(r, 'b', times + 1)
  end
  to_queued(r, publish_at)
  if reason == 'park' then
    put(r, 'k', fn)
    cut(r, 'x')
  end
  save(r)
  return 1
end

-- Ids of an index, the lowest scores first. A row without its record, or that the record should not have, is taken
-- away: the record is the truth.
local function each(index, upto, limit, act, from)
  local ids = call('ZRANGEBYSCORE', P .. index, from or '-inf', upto, 'LIMIT', 0, limit)
  for _, id in ipairs(ids) do
    local r = try(load, id)
    if r and r.before[index] then
      act(r)
    elseif r ~= false then
      call('ZREM', P .. index, id)
    end
  end
  return #ids
end

-- Pulls times of an index back that cannot be true, so that a clock that went back stalls nobody by its whole jump.
local function pull_back(index, field, most)
  local ids = call('ZRANGEBYSCORE', P .. index, '(' .. text(NOW + most), '+inf', 'LIMIT', 0, PULL)
  for _, id in ipairs(ids) do
    local r = try(load, id)
    if r and r.before[index] then
      put(r, field, NOW + most)
      save(r)
    elseif r ~= false then
      row(index, id, false)
    end
  end
  flush()
end

-- Whether an answer has as many bytes of payloads as it may; what is left comes with the next call.
local heavy = 0
local function is_full()
  return heavy > WEIGHT
end

-- Appends the payload of a job, and answers how heavy it is.
local function payload(out, r)
  local bytes = call('GET', P .. 'p:' .. r.id)
  out[#out + 1] = bytes
  local weight = bytes and #bytes or 0
  heavy = heavy + weight
  return weight
end

-- Appends what the broker needs of a dispatch, and answers how heavy it is.
local function dispatch(out, r)
  for _, field in ipairs({ 'id', 'g', 'q', 'P', 'a', 'y', 'l' }) do out[#out + 1] = r[field] end
  return payload(out, r)
end
