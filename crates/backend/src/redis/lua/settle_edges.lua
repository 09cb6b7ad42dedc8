#!lua flags=allow-oom
-- Tells children of this shard how parents ended. Idempotent: only while Blocked, and only open edges.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, milliseconds until a released child's outbox row is due, then child, parent, outcome (C, F, X, G) and
--   result of each
-- Returns: of each what became of the child (waiting, released, scheduled, cancelled, nothing) and its gen
-- Atomic because the last edge releases the child exactly once.

local HOW = { C = 'completed', F = 'failed', X = 'was cancelled or expired', G = 'is gone' }

-- What the edge's policy makes of the outcome. Policy: on failed (0 wait, 1 cancel, 2 run) plus 3 when a cancelled
-- parent lets the child run.
local function verdict(policy, outcome)
  if outcome == 'C' then return 'close' end
  if outcome == 'F' then return ({ [0] = 'wait', 'cancel', 'close' })[policy % 3] end
  return policy >= 3 and 'close' or 'cancel'
end

local function hyphenated(id)
  return (string.gsub(id, '^(%x%x%x%x%x%x%x%x)(%x%x%x%x)(%x%x%x%x)(%x%x%x%x)', '%1-%2-%3-%4-'))
end

local function release(r, within)
  if r.r and r.r > NOW then
    to_waiting(r, SCHEDULED, r.r)
    return 'scheduled'
  end
  to_queued(r, NOW + within)
  return 'released'
end

local function tell(child, parent, outcome, result, within)
  local r = load(child)
  if not r or r.s ~= BLOCKED then return 'nothing', 0 end
  local open = P .. 'o:' .. child
  local policy = tonumber(call('HGET', open, parent) or nil)
  if not policy then return 'nothing', 0 end
  local what = verdict(policy, outcome)
  if what == 'wait' then return 'waiting', 0 end
  local kept = (r.m or 0) + #result
  -- Ten thousand parents may each have a result: past the bound only the outcome is kept.
  if kept > PARENT_RESULTS then
    result = ''
  elseif #result > 0 then
    put(r, 'm', kept)
  end
  call('HSET', P .. 'pr:' .. child, parent, outcome .. result)
  if what == 'cancel' then
    put(r, 'c', 'parent ' .. hyphenated(parent) .. ' ' .. HOW[outcome])
    settle(r, CANCELLED)
    save(r)
    return 'cancelled', 0
  end
  call('HDEL', open, parent)
  if call('EXISTS', open) == 1 then
    save(r)
    return 'waiting', 0
  end
  what = release(r, within)
  save(r)
  return what, r.g
end

return function(...)
  local what, gen = tell(...)
  -- A child may come again, with another parent.
  flush()
  return what, gen
end
---- direct
local within, out, closed = num(), {}, { 'DEL' }
local OUTBOX_TEXT = text(NOW + within)

-- Releases a child whose last parent has completed, and that waits for nothing else. Answers its gen, or nothing when it
-- takes a turn.
local function release(child, parent, result)
  local open, r = P .. 'o:' .. child, record_of(child)
  r = r and decode(r)
  if not r or r.s ~= BLOCKED or r.r or r.m or #result > PARENT_RESULTS then return nil end
  if call('HLEN', open) ~= 1 or call('HEXISTS', open, parent) == 0 then return nil end
  call('HSET', P .. 'pr:' .. child, parent, 'C' .. result)
  closed[#closed + 1] = open
  r.s, r.g, r.A, r.x = QUEUED, r.g + 1, NOW, NOW + within
  r.v, r.E, r.U = nil, nil, nil
  write_record(child, encode(r))
  rem('edges', child)
  add('outbox:' .. r.P, OUTBOX_TEXT, child)
  local by = place_of(r.q, r.fn).by
  by[0], by[2] = by[0] - 1, by[2] + 1
  wake(child, '2')
  return r.g
end

local children = {}
for i = at + 1, #ARGV, 4 do children[#children + 1] = ARGV[i] end
read_records(children)
while at < #ARGV do
  local child, parent, outcome, result = arg(), arg(), arg(), arg()
  local what, gen = 'released', outcome == 'C' and release(child, parent, result)
  if not gen then what, gen = rarely(child, parent, outcome, result, within) end
  out[#out + 1] = what
  out[#out + 1] = gen
end
if closed[2] then call(unpack(closed)) end
return done_direct(out)
