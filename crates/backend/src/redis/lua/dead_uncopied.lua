#!lua flags=allow-oom
-- Failed jobs without a durable twin, the oldest first.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: epoch, then of each: id, gen, end, queue, envelope, encoded error, attempts, length of its history, the
--   history
-- Atomic because a letter must be of one moment: its gen tells whether it is stale.

local out = { epoch() }
each('dead', '+inf', num(), function(r)
  if is_full() then return end
  out[#out + 1] = r.id
  out[#out + 1] = r.g
  out[#out + 1] = r.f
  out[#out + 1] = r.q
  payload(out, r)
  out[#out + 1] = call('GET', P .. 'e:' .. r.id)
  out[#out + 1] = r.a
  local history = call('LRANGE', P .. 'h:' .. r.id, 0, -1)
  out[#out + 1] = #history
  for _, row in ipairs(history) do out[#out + 1] = row end
end)
return done(out)
