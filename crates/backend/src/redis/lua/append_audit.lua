#!lua flags=allow-oom
-- Writes a line of the audit log. The log is a ring of fields: a new line takes the place of the oldest.
--
-- KEYS: 1 the log: `next` is the number of the next line, the other fields are lines by their place in the ring
-- ARGV: the note's id (16 digits), the encoded note, most lines, how many of the last lines may have the same note
-- Returns: nothing
-- Atomic because two lines must not get one number.

local key, id, note = KEYS[1], ARGV[1], ARGV[2]
local call = redis.call
local size = tonumber(ARGV[3])

local next = tonumber(call('HGET', key, 'next') or 0)
for seq = next - 1, math.max(next - tonumber(ARGV[4]), 0), -1 do
  local line = call('HGET', key, seq % size)
  if line and line:sub(1, 16) == id then return end
end
local time = call('TIME')
local at = time[1] * 1000 + math.floor(time[2] / 1000)
call('HSET', key, next % size, string.format('%s%016d%013d', id, next, at) .. note)
call('HSET', key, 'next', next + 1)
