#!lua flags=allow-oom
-- Says that somebody watches jobs of this shard, for a while. A script, because Redis refuses a SET when it is full, and
-- whoever waits for jobs that drain it is to be woken.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, how long it counts in milliseconds
-- Returns: nothing
-- Atomic because the key and its end are written in one command.

redis.call('SET', string.sub(KEYS[1], 1, -5) .. 'watched', '', 'PX', ARGV[2])
return nil
