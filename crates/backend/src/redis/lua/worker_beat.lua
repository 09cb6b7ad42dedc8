#!lua flags=allow-oom
-- Registers a worker, or keeps it registered; forgets those that ended without a word.
--
-- KEYS: 1 the workers, 2 when they were seen, 3 slots that are taken, then for each queue of it those with free slots
-- ARGV: id, encoded view, how long a worker counts as live, in milliseconds, 1 when nothing is to happen unless it is
--   registered already, then for each queue its free slots for jobs of that queue
-- Returns: nothing
-- Atomic because a worker must be in the first two keys or in none.

if ARGV[4] == '1' and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return false end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
for i = 4, #KEYS do
  redis.call(ARGV[i + 1] == '0' and 'SREM' or 'SADD', KEYS[i], ARGV[1])
  -- Of a queue that has no worker any more nothing stays.
  redis.call('PEXPIRE', KEYS[i], ARGV[3])
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. (now - ARGV[3]))) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
  for i = 4, #KEYS do redis.call('SREM', KEYS[i], id) end
end
return false
