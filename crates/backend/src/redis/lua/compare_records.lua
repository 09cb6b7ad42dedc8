#!lua flags=allow-oom
-- Compares records with the index rows that they must have, and writes what is missing when asked to. Names the indexes
-- that it comes across, so that their rows can be compared with the records afterwards.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, cursor of the scan, keys to look at, 1 to repair
-- Returns: the next cursor ('0' at the end); records compared; the faults, each as kind, index, id, 1 when repaired; names
--   of indexes; functions that jobs are parked for, each with how many
-- Atomic because a job that moves meanwhile would look as if it had no row.

local cursor, count, repair = arg(), num(), num() == 1
local page = call('SCAN', cursor, 'MATCH', P .. '*', 'COUNT', count)
local records, faults, indexes, parked = 0, {}, {}, {}

local function fault(kind, index, id, fixed)
  for _, part in ipairs({ kind, index, id, fixed and 1 or 0 }) do faults[#faults + 1] = part end
end

-- The directory of buckets must have this one, from the earliest end in it on.
local function compare_bucket(r)
  local index = 'finished:' .. r.s
  local first = tonumber(call('ZSCORE', P .. index, text(r.B)) or nil)
  if first and first <= r.f then return end
  fault(first and 'wrong_score' or 'missing_row', index, r.id, repair)
  if repair then call('ZADD', P .. index, 'LT', text(r.f), text(r.B)) end
end

local function compare(id)
  records = records + 1
  if not is_readable(id) then return fault('unreadable', '', id, false) end
  local r = load(id)
  local wanted = r.before
  wanted.all = r.C
  for index, score in pairs(wanted) do
    local has = tonumber(call('ZSCORE', P .. index, id) or nil)
    -- Earlier builds gave every parked job the score 0; its place comes with the next worker that has its function.
    local is_old = has == 0 and r.k and index == 'parked:' .. r.k
    if has ~= score and not is_old then
      fault(has and 'wrong_score' or 'missing_row', index, id, repair)
      if repair then row(index, id, text(score)) end
    end
  end
  if r.s >= COMPLETED then
    compare_bucket(r)
  elseif call('EXISTS', P .. 'p:' .. id) == 0 then
    fault('no_envelope', '', id, false)
  end
  if r.s == QUEUED and r.k then parked[r.k] = (parked[r.k] or 0) + 1 end
end

local PATTERNS = {
  '^due:%d$', '^outbox:%d$', '^ready:.+:%d$', '^parked:.+$', '^running$', '^expiring$', '^edges$', '^rel$', '^dead$',
  '^all$', '^finished:%d:%d+$',
}
local function is_index(name)
  for _, pattern in ipairs(PATTERNS) do
    if string.match(name, pattern) then return true end
  end
  return false
end

for _, key in ipairs(page[2]) do
  local name = string.sub(key, #P + 1)
  if string.sub(name, 1, 2) == 'j:' then
    compare(string.sub(name, 3))
  elseif is_index(name) then
    indexes[#indexes + 1] = name
  end
end
local functions = {}
for name, jobs in pairs(parked) do
  functions[#functions + 1] = name
  functions[#functions + 1] = jobs
end
return done({ page[1], records, faults, indexes, functions })
