#!lua flags=allow-oom
-- Due Scheduled and Retrying jobs become Queued, leased to the caller, who publishes them.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: as lease_outbox
-- Atomic because a job must be promoted once, and never sit in two indexes or in none.

return function(out, id, index)
  local r = load(id)
  if not (r and r.before[index]) then
    call('ZREM', P .. index, id)
    return 0
  end
  local to = r.c and CANCELLED or is_past_its_time(r) and EXPIRED
  if to then
    settle(r, to)
    save(r)
    return 0
  end
  to_queued(r, NOW + OUTBOX_LEASE)
  save(r)
  return dispatch(out, r)
end
---- direct
local LEASED_TEXT = text(NOW + OUTBOX_LEASE)
local limit, out = num(), { epoch(), 0 }

-- Queues a job of which nothing but its time is said. Answers how heavy it is, or nothing when it takes a turn.
local function queue(id, index, priority, payload)
  local key = J .. id
  local seen = call('HMGET', key, 's', 'g', 'q', 'P', 'fn', 'r', 'c', 'e', 'd', 'a', 'y', 'l')
  local s, q, r = seen[1], seen[3], tonumber(seen[6] or nil)
  if s ~= '1' and s ~= '4' or seen[4] ~= priority or not r or r > NOW then return nil end
  if seen[7] or seen[8] or seen[9] then return nil end
  local g = text((tonumber(seen[2] or nil) or 0) + 1)
  call('HSET', key, 's', '2', 'g', g, 'A', seen[6], 'x', LEASED_TEXT)
  call('HDEL', key, 'r')
  rem(index, id)
  add('outbox:' .. priority, LEASED_TEXT, id)
  local by, from = place_of(q, seen[5]).by, tonumber(s)
  by[from], by[2] = by[from] - 1, by[2] + 1
  wake(id, '2')
  return dispatched(out, id, g, q, priority, seen[10], seen[11], seen[12], payload)
end

out[2] = take_due('due', limit, function(id, index, priority, payload)
  return queue(id, index, priority, payload) or rare(out, id, index)
end)
return done_direct(out)
