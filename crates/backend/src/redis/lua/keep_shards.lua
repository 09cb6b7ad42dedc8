#!lua flags=allow-oom
-- Keeps the number of shards, which is fixed when a store is made. A full Redis must answer it too: whoever drains it
-- asks first.
--
-- KEYS: 1 what belongs to no shard
-- ARGV: the number that is wanted
-- Returns: the number that holds
-- Atomic because two that connect to a new store must come to one number.

redis.call('HSETNX', KEYS[1], 'shards', ARGV[1])
return redis.call('HGET', KEYS[1], 'shards')
