#!lua flags=allow-oom
-- Notices up to a number are in the mailbox.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, epoch, number
-- Returns: nothing
-- Atomic because another scheduler takes the same notices, and a wipe between begins the numbers anew.

if epoch() ~= arg() then return false end
local up_to, key = num(), P .. 'notices'
local first = call('LINDEX', key, 0)
while first and cmsgpack.unpack(first)[1] <= up_to do
  call('LPOP', key)
  first = call('LINDEX', key, 0)
end
return false
