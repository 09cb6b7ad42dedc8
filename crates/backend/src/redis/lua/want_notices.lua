#!lua flags=allow-oom
-- Notices are written for a while from now on.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, the while in milliseconds
-- Returns: nothing
-- Atomic because the end is by the server's clock, and an epoch must be there before the first notice.

epoch()
call('HSET', KEYS[1], 'notices', text(NOW + num()))
return false
