#!lua flags=allow-oom
-- A scheduler's lease on this shard.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, what to do (renew it where it is held, take it where it is free, drop it), holder, milliseconds
-- Returns: 1 when the holder has it now
-- Atomic because two schedulers must not both take a free shard.

local what, holder, ttl = arg(), arg(), arg()
local key = P .. 'lease'
local by = call('GET', key)
if by == holder and what == 'drop' then
  call('DEL', key)
elseif what ~= 'drop' and (by == holder or (not by and what == 'take')) then
  call('SET', key, holder, 'PX', ttl)
  return 1
end
return 0
