#!lua flags=allow-oom
-- Blocked children whose edges are to be verified.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: of each: child, since when, number of open edges, then parent and policy of each edge
-- Atomic because the edges must be those of one moment.

local out = {}
each('edges', NOW, num(), function(r)
  local edges = call('HGETALL', P .. 'o:' .. r.id)
  out[#out + 1] = r.id
  out[#out + 1] = r.E
  out[#out + 1] = #edges / 2
  for _, part in ipairs(edges) do out[#out + 1] = part end
end)
return done(out)
