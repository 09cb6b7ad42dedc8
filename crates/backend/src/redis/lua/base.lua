-- What every script of a shard begins with: time, arguments, and what is gathered and written together at its end. The
-- bounds (LEASE, ...) and `count.lua` are put before this file by the program.
--
-- KEYS[1] is the shard's meta hash, `{sNN}:meta`; every other key of the shard has the same hash tag and is made
-- here from it. ARGV[1] is a random number that becomes the shard's epoch when it has none.

local call = redis.call
local P = string.sub(KEYS[1], 1, -5)

-- While a cluster moves this slot, half of the keys are on the other node: a job would look lost, or the script would
-- break off in the middle. Two keys that never exist make both nodes refuse here, before anything is written; one is
-- not enough for the node that the slot goes to. The third is there while anybody watches a job of this shard (see
-- `watched.lua`): one command is cheaper than two.
local is_watched = call('EXISTS', P .. 'probe1', P .. 'probe2', P .. 'watched') == 1

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

-- Counters by queue, status and function: gathered here, written together by `done`.
local counts = {}

-- Redis turns a number into text digit by digit, for each argument anew; the same few numbers come again and again.
local texts = {}
local function text(number)
  local known = texts[number]
  if not known then
    known = string.format('%d', number)
    texts[number] = known
  end
  return known
end

-- Ends every script that writes. `lib.lua` has words of its own for that.
local last_words
local function done(reply)
  if last_words then last_words() end
  for field, by in pairs(counts) do
    if by ~= 0 and call('HINCRBY', P .. 'n', field, by) == 0 then call('HDEL', P .. 'n', field) end
  end
  write_happened(call, P, NOW)
  return reply
end

-- Wakes whoever watches a job, as long as anybody watches one of this shard. Nobody may depend on it: a user who may not
-- publish runs jobs all the same. Where every job passes (`step.lua`), whoever calls asks before: a call costs, too.
local function wake(id, what)
  if is_watched then redis.pcall('PUBLISH', 'longshore:ev:' .. id, what) end
end

-- Ended jobs of a status are kept in buckets of forty, oldest first, because a small sorted set takes a third of
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
  -- The first of a call, too: the clock may have gone back since the bucket's earliest.
  if not bucket.is_told or bucket.left == BUCKET or time < NOW then
    call('ZADD', P .. 'finished:' .. s, 'LT', text(time), text(bucket.number))
    bucket.is_told = true
  end
  bucket.left = bucket.left - 1
  return bucket.number
end
