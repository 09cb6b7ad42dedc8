#!lua flags=allow-oom
-- Registers a worker, or keeps it registered; forgets those that ended without a word.
--
-- KEYS: 1 the workers, 2 when they were seen
-- ARGV: id, encoded view, how long a worker counts as live, in milliseconds, 1 when nothing is to happen unless it is
--   registered already
-- Returns: nothing
-- Atomic because a worker must be in both keys or in none.

if ARGV[4] == '1' and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return false end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. (now - ARGV[3]))) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
return false
