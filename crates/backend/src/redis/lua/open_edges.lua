#!lua flags=allow-oom
-- Leases Blocked children whose edges are to be verified to the caller.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: of each: child, since when a parent is unknown (false when none is), number of open edges, then parent and
--   policy of each edge
-- Atomic because the edges must be those of one moment, and two schedulers must not look at the same ones.

local out, edges, full = {}, 0, false
each('edges', NOW, num(), function(r)
  local key = P .. 'o:' .. r.id
  local count = call('HLEN', key)
  -- A large answer would hold everybody else up. What is left is still due.
  full = full or edges > 0 and edges + count > EDGES_LOOK
  if full then return end
  edges = edges + count
  put(r, 'v', NOW + OUTBOX_LEASE)
  save(r)
  out[#out + 1] = r.id
  out[#out + 1] = r.U or false
  out[#out + 1] = count
  for _, part in ipairs(call('HGETALL', key)) do out[#out + 1] = part end
end)
return done(out)
