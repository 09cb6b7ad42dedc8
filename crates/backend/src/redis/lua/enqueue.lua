#!lua
-- Records jobs, or tells how the known ones stand. Refused when Redis is out of memory.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, number of jobs, then the jobs (see `read_job`); or 0, then groups of jobs without parents: their number,
--   function, name, queue, priority, tags, run at, expires at, deadline; then of each job: id, fingerprint, created at,
--   payload
-- Returns: epoch, then of each job: `queued` or `scheduled` when it is new and was alone in it; or kind (new, known,
--   taken), status, gen, 1 when it is unpublished
-- Atomic because a record without its index row would never run, and two enqueues of one id must make one job.

-- What a group says of its jobs, and the job.
local function read_group(jobs)
  local count, fn, nm, q, priority, t = num(), arg(), opt(), arg(), num(), opt()
  local r, e, d = tonumber(opt()), tonumber(opt()), tonumber(opt())
  if r and r <= NOW then r = nil end
  for _ = 1, count do
    jobs[#jobs + 1] = {
      id = arg(), h = arg(), C = num(), payload = arg(),
      fn = fn, nm = nm, q = q, P = priority, t = t, r = r, e = e, d = d, parents = {},
    }
  end
end

return function(out, number)
  local jobs = {}
  for i = 1, number do jobs[i] = read_job() end
  while at < #ARGV do read_group(jobs) end
  for _, job in ipairs(jobs) do
    local n = #out
    out[n + 1], out[n + 2], out[n + 3], out[n + 4] = enqueue(job, OUTBOX_GRACE)
  end
end
---- direct
-- Arguments before the jobs of a group, and those of each job.
local GROUP, JOB = 9, 4

-- The keys of the jobs' records, each with that of its tombstone.
local keys = { 'EXISTS' }

-- Whether all of these jobs are new, and each there once.
local function are_new()
  local seen, n, b = {}, 1, at + 1
  while b <= #ARGV do
    local last = b + GROUP + (tonumber(ARGV[b]) - 1) * JOB
    for j = b + GROUP, last, JOB do
      local id = ARGV[j]
      if seen[id] then return false end
      seen[id] = true
      keys[n + 1], keys[n + 2] = J .. id, P .. 't:' .. id
      n = n + 2
    end
    b = last + JOB
  end
  return call(unpack(keys)) == 0
end

local OUTBOX_TEXT = text(NOW + OUTBOX_GRACE)

-- Fields that a job may lack.
local function put_more(key, name, tags, expires_at, deadline)
  local set = { 'HSET', key }
  for field, value in pairs({ nm = name, t = tags, e = expires_at, d = deadline }) do
    if value ~= '' then
      set[#set + 1] = field
      set[#set + 1] = value
    end
  end
  if set[3] then call(unpack(set)) end
end

-- The earlier of the two, in their own words.
local function earliest(one, other)
  if one == '' then return other end
  if other == '' or tonumber(one) <= tonumber(other) then return one end
  return other
end

-- Gathers the payloads of the group whose arguments begin at `b`. Answers where the next begins.
local function keep_payloads(b)
  local next_group = b + GROUP + tonumber(ARGV[b]) * JOB
  for j = b + GROUP, next_group - JOB, JOB do keep(P .. 'p:' .. ARGV[j], ARGV[j + 3]) end
  return next_group
end

-- Makes the records of the group whose arguments begin at `b`, and whose keys at `k`. Answers where the next begin.
local function begin(out, b, k)
  local fn, nm, q, priority, t, r, e, d = unpack(ARGV, b + 1, b + GROUP - 1)
  local count, place, last = tonumber(ARGV[b]), place_of(q, fn), earliest(e, d)
  local is_later = r ~= '' and tonumber(r) > NOW
  local has_more = nm ~= '' or t ~= '' or e ~= '' or d ~= ''
  local waiting = (is_later and 'due:' or 'outbox:') .. priority
  b = b + GROUP
  for j = b, b + (count - 1) * JOB, JOB do
    local id, h, C, key = ARGV[j], ARGV[j + 1], ARGV[j + 2], keys[k]
    k = k + 2
    if is_later then
      call('HSET', key, 's', '1', 'h', h, 'fn', fn, 'q', q, 'P', priority, 'C', C, 'r', r)
    else
      call(
        'HSET', key, 's', '2', 'h', h, 'fn', fn, 'q', q, 'P', priority, 'C', C, 'A', NOW_TEXT, 'g', '1', 'x', OUTBOX_TEXT
      )
    end
    if has_more then put_more(key, nm, t, e, d) end
    if last ~= '' then add('expiring', last, id) end
    add(waiting, is_later and r or OUTBOX_TEXT, id)
    add('all', C, id)
    out[#out + 1] = is_later and 'scheduled' or 'queued'
  end
  local s = is_later and 1 or 2
  place.by[s] = place.by[s] + count
  place.new = place.new + count
  return b + count * JOB, k
end

local number = num()
local out = { epoch() }
if number == 0 and are_new() then
  -- Before the records: a record without its payload could never run, a payload without a record is written again by
  -- the next try.
  local b, first, k = at + 1, at + 1, 2
  while b <= #ARGV do b = keep_payloads(b) end
  flush_values()
  while first <= #ARGV do first, k = begin(out, first, k) end
else
  rarely(out, number)
end
return done_direct(out)
