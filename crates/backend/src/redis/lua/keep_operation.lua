#!lua flags=allow-oom
-- Remembers an operation on many dead letters: once when it begins, and as it stands from then on. Bounded: the oldest
-- that has ended makes room, or the oldest of all.
--
-- KEYS: 1 the operations, by id
-- ARGV: id, the encoded operation, 1 when it begins or 0, most operations
-- Returns: the encoded operation that is remembered
-- Atomic because two that begin the same operation must be told the same start.

local key, id, operation = KEYS[1], ARGV[1], ARGV[2]
local call = redis.call

local function make_room()
  local oldest, rank
  local all = call('HGETALL', key)
  for i = 1, #all, 2 do
    local known = cmsgpack.unpack(all[i + 1])
    -- Those that have not ended come after all others.
    local place = known.started_at + (known.ended_at and 0 or 2 ^ 52)
    if not rank or place < rank then oldest, rank = all[i], place end
  end
  call('HDEL', key, oldest)
end

if ARGV[3] == '1' then
  local known = call('HGET', key, id)
  if known then return known end
  if call('HLEN', key) >= tonumber(ARGV[4]) then make_room() end
end
call('HSET', key, id, operation)
return operation
