-- What the scripts share that run for every job. `rare` is put before this file: it makes the words of `lib.lua`, which
-- take longer to make than a job takes, the first time that a job needs them.

local NOW_TEXT, LEASE_TEXT = text(NOW), text(NOW + LEASE)

-- Rows of the jobs that take no turn, ready to be sent: an array for each index, much cheaper than `row`.
local adds, rems = {}, {}
local function add(index, score, id)
  local list = adds[index]
  if not list then
    list = { 'ZADD', P .. index }
    adds[index] = list
  end
  local n = #list
  list[n + 1], list[n + 2] = score, id
end
local function rem(index, id)
  local list = rems[index]
  if not list then
    list = { 'ZREM', P .. index }
    rems[index] = list
  end
  list[#list + 1] = id
end

-- Payloads or results, written together.
local values = { 'MSET' }
local function keep(key, value)
  local n = #values
  values[n + 1], values[n + 2] = key, value
end

-- A script takes at most a few hundred jobs: no list is too long for one command.
local function flush_direct()
  if values[2] then
    call(unpack(values))
    values = { 'MSET' }
  end
  for _, list in pairs(rems) do call(unpack(list)) end
  for _, list in pairs(adds) do call(unpack(list)) end
  adds, rems = {}, {}
end

-- Jobs that take a turn see what was gathered, and leave nothing gathered behind.
local function rarely(...)
  flush_direct()
  return rare(...)
end

-- Counts a change of status, without a record.
local function moved(q, from, to, fn)
  local field = q .. from .. fn
  counts[field] = (counts[field] or 0) - 1
  field = q .. to .. fn
  counts[field] = (counts[field] or 0) + 1
end
