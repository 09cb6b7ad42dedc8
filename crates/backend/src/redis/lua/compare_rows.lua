#!lua flags=allow-oom
-- Compares rows of an index with the records, and takes away those that no record has when asked to.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, index, cursor of the scan, rows to look at, 1 to repair
-- Returns: the next cursor ('0' at the end), rows compared, ids of rows that no record has
-- Atomic because a job that moves meanwhile would look as if its row were a stray one.

local index, cursor, count, repair = arg(), arg(), num(), num() == 1
local page = call('ZSCAN', P .. index, cursor, 'COUNT', count)
local out = { page[1], #page[2] / 2 }
for i = 1, #page[2], 2 do
  local id = page[2][i]
  local is_stray = call('EXISTS', P .. 'j:' .. id) == 0
  -- Every record is in `all`; what cannot be read is for a person.
  if not is_stray and index ~= 'all' and is_readable(id) then is_stray = load(id).before[index] == nil end
  if is_stray then
    out[#out + 1] = id
    if repair then row(index, id, false) end
  end
end
return done(out)
