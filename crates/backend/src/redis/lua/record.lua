-- How a record stands in Redis. `base.lua` is put before this file.

-- A record is one text, `j:<id>`: numbers at fixed places, 0 for nothing, then queue, function, a map of the other fields,
-- worker and a small result. Scripts that run for every job read and write the records of a whole call with one command
-- each, and put a few numbers anew without looking at the rest: three fifths of what hashes of such fields cost Redis.
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
