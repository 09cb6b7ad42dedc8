-- What every script of a shard begins with: time, arguments, and what is gathered and written together at its end. The
-- bounds (LEASE, ...) and `count.lua` are put before this file by the program.
--
-- KEYS[1] is the shard's meta hash, `{sNN}:meta`; every other key of the shard has the same hash tag and is made
-- here from it. ARGV[1] is a random number that becomes the shard's epoch when it has none.

local call = redis.call
local P = string.sub(KEYS[1], 1, -5)

-- While a cluster moves this slot, half of the keys are on the other node: a job would look lost, or the script would
-- break off in the middle. Two keys that never exist make both nodes refuse here, before anything is written; one is
-- not enough for the node that the slot goes to.
call('EXISTS', P .. 'probe1', P .. 'probe2')

local clock = call('TIME')
local NOW_US = clock[1] * 1000000 + clock[2]
local NOW = math.floor(NOW_US / 1000)

local BLOCKED, SCHEDULED, QUEUED, RUNNING, RETRYING = 0, 1, 2, 3, 4
local COMPLETED, FAILED, CANCELLED, EXPIRED = 5, 6, 7, 8

-- Arguments, one after the other.

local at = 1
local function arg()
  at = at + 1
  return ARGV[at]
end
local function num()
  at = at + 1
  return tonumber(ARGV[at])
end
-- An empty argument stands for nothing.
local function opt()
  local value = arg()
  if value == '' then return nil end
  return value
end

-- Lines of a log: their number, then of each its place among the attempt's lines and the encoded line.
local function read_lines()
  local lines = {}
  for i = 1, num() do lines[i] = { num(), arg() } end
  return lines
end

-- The shard.

local function epoch()
  local known = call('HGET', KEYS[1], 'epoch')
  if known then return known end
  call('HSET', KEYS[1], 'epoch', ARGV[1])
  return ARGV[1]
end

local paused_known = {}
local function is_paused(queue)
  local known = paused_known[queue]
  if known == nil then
    known = call('SISMEMBER', P .. 'paused', queue) == 1
    paused_known[queue] = known
  end
  return known
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

-- Counters by queue, status and function: gathered here, written together by `done`.
local counts = {}
local function tally(r, status, by)
  local field = r.q .. ':' .. status .. ':' .. r.fn
  counts[field] = (counts[field] or 0) + by
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

-- Redis turns a number into text digit by digit, for each argument anew; the same few numbers come again and again.
local texts = {}
local function text(number)
  local known = texts[number]
  if not known then
    known = string.format('%.0f', number)
    texts[number] = known
  end
  return known
end

-- Ends every script that writes.
local function done(reply)
  if noted[1] then write_notices() end
  flush()
  if has_ended_parents then redis.pcall('PUBLISH', 'longshore:rel', '') end
  for field, by in pairs(counts) do
    if by ~= 0 and call('HINCRBY', P .. 'n', field, by) == 0 then call('HDEL', P .. 'n', field) end
  end
  write_happened(call, P, NOW)
  return reply
end

-- Wakes whoever watches a job. Nobody may depend on it: a user who may not publish runs jobs all the same.
local function wake(id, what)
  redis.pcall('PUBLISH', 'longshore:ev:' .. id, what)
end

-- Ended jobs of a status are kept in buckets of a hundred, oldest first, because a small sorted set takes a third of
-- the memory of a large one. `finished:<status>` has the buckets by the earliest end in them. Answers the bucket of a
-- job that ended then.
local end_bucket_of = {}
local function end_bucket(s, time)
  local bucket = end_bucket_of[s]
  if not bucket then
    local number = tonumber(call('HGET', KEYS[1], 'bucket:' .. s) or nil) or 0
    bucket = { number = number, left = BUCKET - call('ZCARD', P .. 'finished:' .. s .. ':' .. number) }
    end_bucket_of[s] = bucket
  end
  if bucket.left <= 0 then
    bucket.number, bucket.left = call('HINCRBY', KEYS[1], 'bucket:' .. s, 1), BUCKET
  end
  if bucket.left == BUCKET or time < NOW then
    call('ZADD', P .. 'finished:' .. s, 'LT', text(time), text(bucket.number))
  end
  bucket.left = bucket.left - 1
  return bucket.number
end
