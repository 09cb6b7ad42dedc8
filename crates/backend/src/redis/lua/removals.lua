#!lua flags=allow-oom
-- How many twins were made stale, and how many of them no lap of the keeper has looked for.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, how many were counted when the lap began that is over, or 0
-- Returns: how many were ever counted, how many of them wait for a lap
-- Atomic because a removal that comes while a lap ends must wait for the next, and so must one that came between two
-- laps that end at once.

local counted = tonumber(call('HGET', KEYS[1], 'removals') or nil) or 0
local swept = tonumber(call('HGET', KEYS[1], 'removals_swept') or nil) or 0
-- Earlier builds take the count away.
if swept > counted then swept = 0 end
local over = num()
if over > swept and over <= counted then
  swept = over
  call('HSET', KEYS[1], 'removals_swept', text(swept))
end
return { counted, counted - swept }
