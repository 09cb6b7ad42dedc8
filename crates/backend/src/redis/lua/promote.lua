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
local LEASED_TEXT, LEASED_8 = text(NOW + OUTBOX_LEASE), pack('>d', NOW + OUTBOX_LEASE)
local limit, out = num(), { epoch(), 0 }

-- Queues a job of which nothing but its time is said. Answers how heavy it is, or nothing when it takes a turn.
local function queue(id, index, priority, payload)
  local record = record_of(id)
  if not record or sub(record, 1, 1) ~= priority or sub(record, 3, 3) ~= '-' then return nil end
  local s, r = read('B', record, 2) - 48, read('>d', record, 91)
  if s ~= SCHEDULED and s ~= RETRYING or r == 0 or r > NOW then return nil end
  local a, g, y, l = read('>I4', record, 4), read('>I4', record, 63), read('>I4I4', record, 99)
  local q, fn = read('Bc0Bc0', record, 115)
  -- It could run since it was due.
  write_record(
    id,
    priority .. '2-' .. sub(record, 4, 62) .. pack('>I4', g + 1) .. sub(record, 91, 98) .. LEASED_8 .. NOTHING_16 .. sub(record, 99)
  )
  rem(index, id)
  add('outbox:' .. priority, LEASED_TEXT, id)
  local by = place_of(q, fn).by
  by[s], by[2] = by[s] - 1, by[2] + 1
  wake(id, '2')
  return dispatched(out, id, g + 1, q, priority, a, y, l, payload)
end

out[2] = take_due('due', limit, function(id, index, priority, payload)
  return queue(id, index, priority, payload) or rare(out, id, index)
end)
return done_direct(out)
