#!lua flags=no-writes,allow-oom
-- Jobs of this shard that match, the newest first, from a cursor on. Looks at a bounded number of records: where few jobs
-- have the statuses that are asked for, at those that their indexes name, so that the others cost nothing.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit, records to look at, cursor (time and id, or '' and ''), enqueued from, enqueued until (or ''),
--   statuses as digits, function, queue (or ''), then the tags
-- Returns: 1 when there may be more, time and id of the last job looked at, then time and id of each that matches
-- Atomic because the position in the index must not shift while it is read.

local limit, budget = num(), num()
local before, before_id = num(), arg()
local from, til = num(), num()
local statuses, fn, queue, tags = arg(), opt(), opt(), {}
while at < #ARGV do tags[#tags + 1] = arg() end
local all = P .. 'all'

-- Rank of the first job after the cursor. Jobs of one batch share their time, so that a search by time alone would
-- pass over all of them again for each page.
local function start()
  local low = til and call('ZCOUNT', all, til, '+inf') or 0
  if not before then return low end
  local first = call('ZCOUNT', all, '(' .. before, '+inf')
  local last = first + call('ZCOUNT', all, before, before)
  while first < last do
    local middle = math.floor((first + last) / 2)
    if call('ZREVRANGE', all, middle, middle)[1] < before_id then last = middle else first = middle + 1 end
  end
  return math.max(low, first)
end

local function has_tags(packed)
  if #tags == 0 then return true end
  if not packed then return false end
  local has = {}
  for _, tag in ipairs(cmsgpack.unpack(packed)) do has[tag] = true end
  for _, tag in ipairs(tags) do
    if not has[tag] then return false end
  end
  return true
end

local function matches(r)
  return r
    and (statuses == '' or string.find(statuses, text(r.s), 1, true))
    and (not fn or fn == r.fn)
    and (not queue or queue == r.q)
    and has_tags(r.t)
end

-- Most rows of indexes that are gone through.
local FEW = 500

-- The indexes of the statuses asked for; nothing when they have many rows.
local function indexes()
  local names, known, total = {}, {}, 0
  local function add(name)
    -- Many rows already, or the same index for one more function or queue.
    if total > FEW or known[name] then return end
    known[name] = true
    total = total + call('ZCARD', P .. name)
    names[#names + 1] = name
  end
  local function wants(s) return string.find(statuses, tostring(s), 1, true) end
  if wants(BLOCKED) then add('edges') end
  if wants(RUNNING) then add('running') end
  for priority = 0, 3 do
    if wants(SCHEDULED) or wants(RETRYING) then add('due:' .. priority) end
    if wants(QUEUED) then add('outbox:' .. priority) end
  end
  if wants(QUEUED) then
    for _, field in ipairs(call('HKEYS', P .. 'n')) do
      local of, does = string.match(field, '^([^:]+):' .. QUEUED .. ':(.*)$')
      if of then
        for priority = 0, 3 do add('ready:' .. of .. ':' .. priority) end
        add('parked:' .. does)
      end
    end
  end
  for s = COMPLETED, EXPIRED do
    if wants(s) then
      local buckets = call('ZRANGE', P .. 'finished:' .. s, 0, FEW)
      -- Each has a row at least.
      if #buckets > FEW then return nil end
      for _, bucket in ipairs(buckets) do add('finished:' .. s .. ':' .. bucket) end
    end
    if total > FEW then return nil end
  end
  return names
end

local function is_in_time(created_at, id)
  if before and (created_at > before or (created_at == before and id >= before_id)) then return false end
  return created_at >= (from or 0) and created_at < (til or math.huge)
end

-- The page out of these indexes.
local function few(names)
  local found, seen = {}, {}
  for _, name in ipairs(names) do
    for _, id in ipairs(call('ZRANGE', P .. name, 0, -1)) do
      local r = not seen[id] and record(id)
      seen[id] = true
      if r and is_in_time(r.C, id) and matches(r) then found[#found + 1] = { r.C, id, text(r.C) } end
    end
  end
  table.sort(found, function(a, b)
    if a[1] == b[1] then return a[2] > b[2] end
    return a[1] > b[1]
  end)
  local out = { #found > limit and 1 or 0, false, false }
  for i = 1, math.min(#found, limit) do
    out[2], out[3] = found[i][3], found[i][2]
    out[#out + 1] = out[2]
    out[#out + 1] = out[3]
  end
  return out
end

local names = statuses ~= '' and indexes()
if names then return few(names) end

local rank = start()
local page = call('ZREVRANGE', all, rank, rank + budget - 1, 'WITHSCORES')
local out, found = { #page == budget * 2 and 1 or 0, false, false }, 0
for i = 1, #page, 2 do
  local id, created_at = page[i], page[i + 1]
  if from and tonumber(created_at) < from then
    out[1] = 0
    break
  end
  out[2], out[3] = created_at, id
  if matches(record(id)) then
    out[#out + 1] = created_at
    out[#out + 1] = id
    found = found + 1
    if found == limit then
      out[1] = 1
      break
    end
  end
end
return out
