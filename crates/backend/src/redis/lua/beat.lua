#!lua flags=allow-oom
-- Extends the leases of owners.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and nonce of each
-- Returns: of each: 0 alive, 1 alive and to be cancelled, -1 lost, -2 missing
-- Atomic because a lease that was just taken over must not be extended.

local out = {}
while at < #ARGV do
  local id, nonce = arg(), arg()
  local key = P .. 'j:' .. id
  local seen = call('HMGET', key, 's', 'o', 'c')
  if not seen[1] then
    out[#out + 1] = call('EXISTS', P .. 't:' .. id) == 1 and -1 or -2
  elseif seen[2] == nonce and seen[1] == '3' then
    call('HSET', key, 'u', NOW + LEASE)
    call('ZADD', P .. 'running', NOW + LEASE, id)
    out[#out + 1] = seen[3] and 1 or 0
  else
    out[#out + 1] = -1
  end
end
return out
