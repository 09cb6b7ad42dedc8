#!lua flags=no-writes,allow-stale
-- Reads lines of the audit log, the newest first.
--
-- KEYS: 1 the log, as append_audit.lua writes it
-- ARGV: the number below which lines are wanted or nothing, at most so many, most lines of the log
-- Returns: number, time in milliseconds and encoded note of each line, one after the other
-- Atomic because a line that is written meanwhile must not take the place of one that is read.

local key = KEYS[1]
local call = redis.call
local size = tonumber(ARGV[3])

local next = tonumber(call('HGET', key, 'next') or 0)
local last = math.min(tonumber(ARGV[1]) or next, next)
local first = math.max(last - tonumber(ARGV[2]), next - size, 0)
local found = {}
for seq = last - 1, first, -1 do
  local line = call('HGET', key, seq % size)
  if line then
    found[#found + 1] = seq
    found[#found + 1] = tonumber(line:sub(33, 45))
    found[#found + 1] = line:sub(46)
  end
end
return found
