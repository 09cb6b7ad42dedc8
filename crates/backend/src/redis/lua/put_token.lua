#!lua flags=allow-oom
-- Keeps a token of the gateway, in the place of one with its id.
--
-- KEYS: 1 the tokens, by id
-- ARGV: id, the encoded token, most tokens
-- Returns: 1, or 0 when there is no room
-- Atomic because two that are put at once must not both take the last place.

local key, id = KEYS[1], ARGV[1]
local call = redis.call

local is_new = call('HEXISTS', key, id) == 0
if is_new and call('HLEN', key) >= tonumber(ARGV[3]) then return 0 end
call('HSET', key, id, ARGV[2])
return 1
