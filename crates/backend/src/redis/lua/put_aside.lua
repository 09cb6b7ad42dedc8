#!lua flags=allow-oom
-- Puts a message aside for a person, once. Bounded, because nobody but a person takes it away.
--
-- KEYS: 1 what was put aside, by message id
-- ARGV: message id, the encoded message, most messages, most bytes
-- Returns: 1 when it is there now, 0 when there is no room
-- Atomic because two that put messages aside at once must not both take the last place.

local key, id, message = KEYS[1], ARGV[1], ARGV[2]
local call = redis.call
if call('HEXISTS', key, id) == 1 then return 1 end
if call('HLEN', key) >= tonumber(ARGV[3]) then return 0 end
local bytes = #message
-- Counted each time: a counter beside it would go wrong as soon as a person deletes a message by hand.
for _, other in ipairs(call('HKEYS', key)) do bytes = bytes + call('HSTRLEN', key, other) end
if bytes > tonumber(ARGV[4]) then return 0 end
call('HSET', key, id, message)
return 1
