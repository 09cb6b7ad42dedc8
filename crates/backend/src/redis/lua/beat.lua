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
  local r = try(load, id)
  if r == nil then
    out[#out + 1] = call('EXISTS', P .. 't:' .. id) == 1 and -1 or -2
  elseif r and r.o == nonce and r.s == RUNNING then
    put(r, 'u', NOW + LEASE)
    save(r)
    out[#out + 1] = r.c and 1 or 0
  else
    out[#out + 1] = -1
  end
end
return done(out)
