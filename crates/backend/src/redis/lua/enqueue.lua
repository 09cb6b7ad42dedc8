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
-- From the attempts to the result.
local NEVER_STARTED =
  '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'

-- What the records of a group have alike: the text before a job's creation, and that before its fingerprint; then how
-- what most jobs do not have stands behind it in the map at the end.
local function form(is_later, fn, nm, q, priority, t, r, e, d)
  local more, count, mark = '', 1, '-'
  if nm ~= '' then more, count = cmsgpack.pack('nm', nm), 2 end
  if t ~= '' then more, count = more .. cmsgpack.pack('t', t), count + 1 end
  if e ~= '' then more, count, mark = more .. cmsgpack.pack('e', tonumber(e)), count + 1, '+' end
  if d ~= '' then more, count, mark = more .. cmsgpack.pack('d', tonumber(d)), count + 1, '+' end
  local head = priority .. (is_later and '1' or '2') .. mark .. NEVER_STARTED
  local waits = is_later and pack('>I4dddd', 0, 0, 0, 0, r) or pack('>I4dddd', 1, NOW, NOW + OUTBOX_GRACE, 0, 0)
  return head .. waits .. NOTHING_8, pack('>Bc0Bc0B', #q, q, #fn, fn, 0x80 + count), more
end

-- The earlier of the two, in their own words.
local function earliest(one, other)
  if one == '' then return other end
  if other == '' or tonumber(one) <= tonumber(other) then return one end
  return other
end

-- Makes the records of the group whose arguments begin at `b`, and whose keys at `k`. Answers where the next begin.
local function begin(out, b, k)
  local fn, nm, q, priority, t, r, e, d = unpack(ARGV, b + 1, b + GROUP - 1)
  local count, place, last = tonumber(ARGV[b]), place_of(q, fn), earliest(e, d)
  local is_later = r ~= '' and tonumber(r) > NOW
  local waiting = (is_later and 'due:' or 'outbox:') .. priority
  local first, second, more = form(is_later, fn, nm, q, priority, t, r, e, d)
  b = b + GROUP
  for j = b, b + (count - 1) * JOB, JOB do
    local id, C = ARGV[j], ARGV[j + 2]
    keep(keys[k], first .. pack('>d', C) .. second .. cmsgpack.pack('h', ARGV[j + 1]) .. more)
    keep(P .. 'p:' .. id, ARGV[j + 3])
    k = k + 2
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
  local b, k = at + 1, 2
  while b <= #ARGV do b, k = begin(out, b, k) end
else
  rarely(out, number)
end
return done_direct(out)
