#!lua
-- Records jobs, or tells how the known ones stand. Refused when Redis is out of memory.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, number of jobs, then the jobs (see `read_job`)
-- Returns: epoch, then of each job: kind (new, known, taken), status, gen, 1 when it is unpublished
-- Atomic because a record without its index row would never run, and two enqueues of one id must make one job.

return function(out, number)
  local jobs = {}
  for i = 1, number do jobs[i] = read_job() end
  for _, job in ipairs(jobs) do
    local n = #out
    out[n + 1], out[n + 2], out[n + 3], out[n + 4] = enqueue(job, OUTBOX_GRACE)
  end
end
---- direct
-- Arguments of a job without parents.
local FIELDS = 13

-- Whether all of these jobs are new, without parents, and each there once.
local function are_plain(number)
  if #ARGV ~= 2 + number * FIELDS then return false end
  local seen, keys, n = {}, { 'EXISTS' }, 1
  for b = 2, #ARGV - 1, FIELDS do
    local id = ARGV[b + 1]
    if seen[id] or ARGV[b + FIELDS] ~= '0' then return false end
    seen[id] = true
    keys[n + 1], keys[n + 2] = P .. 'j:' .. id, P .. 't:' .. id
    n = n + 2
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

-- Makes the record of the job whose arguments begin after `b`. Answers its status and gen.
local function begin(b)
  local id, h, fn, nm, q, priority, t, C, r, e, d, payload = unpack(ARGV, b + 1, b + FIELDS - 1)
  local key, s, g = P .. 'j:' .. id, '2', 1
  if r ~= '' and tonumber(r) > NOW then
    s, g = '1', 0
    call('HSET', key, 's', s, 'h', h, 'fn', fn, 'q', q, 'P', priority, 'C', C, 'r', r)
    add('due:' .. priority, r, id)
  else
    call('HSET', key, 's', s, 'h', h, 'fn', fn, 'q', q, 'P', priority, 'C', C, 'A', NOW_TEXT, 'g', '1', 'x', OUTBOX_TEXT)
    add('outbox:' .. priority, OUTBOX_TEXT, id)
  end
  if nm ~= '' or t ~= '' or e ~= '' or d ~= '' then put_more(key, nm, t, e, d) end
  local last = earliest(e, d)
  if last ~= '' then add('expiring', last, id) end
  add('all', C, id)
  keep(P .. 'p:' .. id, payload)
  happen('n', '', ':' .. q .. ':' .. fn)
  local field = q .. ':' .. s .. ':' .. fn
  counts[field] = (counts[field] or 0) + 1
  return tonumber(s), g
end

local number = num()
local out = { epoch() }
if are_plain(number) then
  local n = 1
  for b = 2, #ARGV - 1, FIELDS do
    out[n + 1] = 'new'
    out[n + 2], out[n + 3] = begin(b)
    out[n + 4] = 0
    n = n + 4
  end
  flush_direct()
else
  rarely(out, number)
end
return done(out)
