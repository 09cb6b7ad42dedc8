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
    call('SET', P .. 'r:' .. r.id, data)
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
  if #lines > 0 then put(r, 'i', add_lines(id, r.i or 0, lines)) end
  accept(r, outcome, delay, data, line)
  put(r, 'n', nonce)
  put(r, 'N', r.s)
  save(r)
  return r.s
end

local out = {}
for i = 1, num() do
  local id, nonce, outcome, delay = arg(), arg(), arg(), num()
  out[i] = finish(id, nonce, outcome, delay, arg(), arg(), arg(), read_lines())
end
while at < #ARGV do
  local id, gen, nonce, worker = arg(), num(), arg(), arg()
  claim(out, id, gen, nonce, worker)
end
return done(out)
