#!lua flags=no-writes,allow-oom
-- Live workers.
--
-- KEYS: 1 the workers, 2 when they were seen
-- ARGV: how long a worker counts as live, in milliseconds
-- Returns: of each: encoded view, when it was seen
-- Atomic because a view and its time must belong together.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local out = {}
local live = redis.call('ZRANGEBYSCORE', KEYS[2], now - ARGV[1], '+inf', 'WITHSCORES')
for i = 1, #live, 2 do
  out[#out + 1] = redis.call('HGET', KEYS[1], live[i])
  out[#out + 1] = live[i + 1]
end
return out
