#!lua flags=allow-oom
-- Leases due outbox rows to the caller, who publishes them; the most urgent first.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: epoch, rows looked at (the limit when more may be due), then of each dispatch: id, gen, queue, priority,
--   attempts, retries, losts, envelope
-- Atomic because two schedulers must not lease the same row.

return function(out, id, index)
  if not out then return pull_back(index, 'x', OUTBOX_AHEAD) end
  local r = load(id)
  if not (r and r.before[index]) then
    call('ZREM', P .. index, id)
    return 0
  end
  put(r, 'x', NOW + OUTBOX_LEASE)
  save(r)
  return dispatch(out, r)
end
---- direct
local LEASED_TEXT, LEASED_8 = text(NOW + OUTBOX_LEASE), pack('>d', NOW + OUTBOX_LEASE)
local limit, out = num(), { epoch(), 0 }

-- A clock that went back leaves rows behind that are due much too late.
for priority = 0, 3 do
  local index = 'outbox:' .. priority
  local last = call('ZREVRANGE', P .. index, 0, 0, 'WITHSCORES')[2]
  if last and tonumber(last) > NOW + OUTBOX_AHEAD then rare(nil, nil, index) end
end

-- Leases a row. Answers how heavy it is, or nothing when it takes a turn.
local function lease(id, index, priority, payload)
  local record = record_of(id)
  if not record or sub(record, 1, 3) ~= priority .. '2-' or sub(record, 75, 82) == NOTHING_8 then return nil end
  local a, g, y, l = read('>I4', record, 4), read('>I4', record, 63), read('>I4I4', record, 99)
  write_record(id, sub(record, 1, 74) .. LEASED_8 .. sub(record, 83))
  add(index, LEASED_TEXT, id)
  return dispatched(out, id, g, read('Bc0', record, 115), priority, a, y, l, payload)
end

out[2] = take_due('outbox', limit, function(id, index, priority, payload)
  return lease(id, index, priority, payload) or rare(out, id, index)
end)
return done_direct(out)
