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

-- Records.

-- A record is one text, `j:<id>`: numbers at fixed places, 0 for nothing, then queue, function, a map of the other fields,
-- worker and a small result. Scripts that run for every job read and write the records of a whole call with one command
-- each, and put a few numbers anew without looking at the rest: a third of what hashes of such fields cost Redis.
--
--   1 priority and 2 status, as digits      3 `+` when the map has more than h, nm and t, otherwise `-`
--   4 a, 8 S, 16 F, 24 u, 32 the owner's nonce (zeros for nobody): what a start writes
--   48 f, 56 B and one, 60 bytes of the worker, 62 bytes of the result and one: with 24 and 32, what an end writes
--   63 g, 67 A, 75 x, 83 p, 91 r, 99 y, 103 l, 107 C
--   115 queue and function, each with its length before it
--
-- A, x and p may be left behind by a start or an end, see `decode`.
--
-- The fields: s status, g gen, a attempts, y retries, l losts, F fence, u end of the lease, x next try of the outbox and
-- p published at (one of them while Queued), b give-backs, r run at, A could run since, e expires at, d deadline,
-- C created at, E became Blocked at, S started at, f finished at, v next verification of its edges, V verifications, U looks
-- at its edges have found a parent unknown since, K children to be told, W those among them that wait for a requeue when
-- it fails, R its children are told from then on, G they are told "gone", D the dead letter has its twin, P priority, z it
-- has a progress stream, j lines that its attempt has added to its log, L gen whose message the broker gave up, m bytes of
-- its parents' results while Blocked, B bucket of `finished` that it is in, N status of the last finish; and texts:
-- n nonce of the last finish, o owner (of a completed job: who finished it), w worker, k function it is parked for, c reason
-- of a cancel, h fingerprint, fn function, nm name, q queue, t tags, i a small result. A nonce is sixteen bytes.
local FORM = '>BBc1I4dddc16dI4I2BI4ddddI4I4dBc0Bc0'
local RARE = {
  'k', 'c', 'n', 'N', 'b', 'e', 'd', 'E', 'v', 'V', 'U', 'K', 'W', 'R', 'G', 'D', 'z', 'j', 'L', 'm',
}
local NOBODY = string.rep('\0', 16)

local function some(number)
  if number ~= 0 then return number end
end

local function decode(text)
  local priority, s, _, a, S, F, u, o, f, B, worker, result, g, A, x, p, run_at, y, l, C, q, fn, rest =
    struct.unpack(FORM, text)
  local at, r = cmsgpack.unpack_one(text, rest - 1)
  s = s - 48
  r.s, r.P, r.g, r.a, r.y, r.l, r.C, r.q, r.fn = s, priority - 48, g, a, y, l, C, q, fn
  r.r, r.S, r.F, r.u, r.f = some(run_at), some(S), some(F), some(u), some(f)
  if s < COMPLETED then r.A = some(A) end
  if s == QUEUED then r.x, r.p = some(x), some(p) end
  if o ~= NOBODY then r.o = o end
  if B > 0 then r.B = B - 1 end
  if worker > 0 then r.w = string.sub(text, at + 1, at + worker) end
  if result > 0 then r.i = string.sub(text, at + worker + 1) end
  return r
end

local function encode(r)
  local rest, mark = { h = r.h, nm = r.nm, t = r.t }, '-'
  for _, field in ipairs(RARE) do
    local value = r[field]
    if value ~= nil then rest[field], mark = value, '+' end
  end
  local w, i = r.w or '', r.i or ''
  return struct.pack(
    FORM, r.P + 48, r.s + 48, mark, r.a, r.S or 0, r.F or 0, r.u or 0, r.o or NOBODY, r.f or 0, r.B and r.B + 1 or 0, #w,
    r.i and #i + 1 or 0, r.g, r.A or 0, r.x or 0, r.p or 0, r.r or 0, r.y, r.l, r.C, #r.q, r.q, #r.fn, r.fn
  ) .. cmsgpack.pack(rest) .. w .. i
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
    known = string.format('%.0f', number)
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
