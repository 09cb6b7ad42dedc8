-- What the scripts share that run for every job. `rare` is put before this file: it makes the words of `lib.lua`, which
-- take longer to make than a job takes, the first time that a job needs them.

local NOW_TEXT = text(NOW)
local J = P .. 'j:'
local sub, pack, read = string.sub, struct.pack, struct.unpack

-- Numbers as they stand in a record, see `record.lua`.
local NOW_8 = pack('>d', NOW)
local NOTHING_8, NOTHING_16 = '\0\0\0\0\0\0\0\0', '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'

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

-- Payloads, results and records, written together.
local values, valued = { 'MSET' }, 1
local function keep(key, value)
  values[valued + 1], values[valued + 2] = key, value
  valued = valued + 2
end

-- Records as they are by now, read together and written together. One that is not there, or has the form of an earlier
-- build, is false: its job takes a turn.
local records = {}
local function read_records(ids)
  local keys, wanted, n = { 'MGET' }, {}, 0
  for _, id in ipairs(ids) do
    if records[id] == nil then
      n = n + 1
      keys[n + 1], wanted[n] = J .. id, id
    end
  end
  if n == 0 then return end
  for i, record in ipairs(call(unpack(keys))) do records[wanted[i]] = record end
end
-- After a job that took a turn nothing is known.
local function record_of(id)
  if records[id] == nil then read_records({ id }) end
  return records[id]
end
local function write_record(id, record)
  records[id] = record
  keep(J .. id, record)
end

-- A script takes at most a few hundred jobs: no list is too long for one command.
local function flush_values()
  if valued > 1 then
    call(unpack(values, 1, valued))
    values, valued = { 'MSET' }, 1
  end
end

local function flush_direct()
  flush_values()
  for _, list in pairs(rems) do call(unpack(list)) end
  for _, list in pairs(adds) do call(unpack(list)) end
  adds, rems = {}, {}
end

-- Jobs that take a turn see what was gathered, and leave nothing gathered behind.
local function rarely(...)
  flush_direct()
  records = {}
  return rare(...)
end

-- What is counted of the jobs of a queue and function, in numbers: names are made once, in `tell_places`. `by` has what
-- a status gained, from Blocked to Completed.
local places = {}
local function place_of(q, fn)
  local of = places[q]
  if not of then
    of = {}
    places[q] = of
  end
  local place = of[fn]
  if not place then
    place = { by = { [0] = 0, 0, 0, 0, 0, 0 }, new = 0 }
    of[fn] = place
  end
  return place
end

-- Counts a time in `waits` or `runs`; the same few times come again and again.
local buckets = {}
local function time_in(of, time)
  local bucket = buckets[time]
  if not bucket then
    bucket = bucket_of(math.max(time, 0))
    buckets[time] = bucket
  end
  of[bucket] = (of[bucket] or 0) + 1
end

-- Hands on what was counted, for `done`. Lua takes long to turn a number into text.
local function tell_places()
  local statuses = { [0] = ':0:', ':1:', ':2:', ':3:', ':4:', ':5:' }
  for q, of in pairs(places) do
    for fn, place in pairs(of) do
      local name = ':' .. q .. ':' .. fn
      for s, by in pairs(place.by) do
        if by ~= 0 then
          local field = q .. statuses[s] .. fn
          counts[field] = (counts[field] or 0) + by
        end
      end
      if place.new > 0 then happened['n' .. name] = (happened['n' .. name] or 0) + place.new end
      for code, which in pairs({ w = 'waits', c = 'runs' }) do
        for bucket, count in pairs(place[which] or {}) do
          local field = code .. bucket .. name
          happened[field] = (happened[field] or 0) + count
        end
      end
    end
  end
end

-- Ends a script that runs for every job.
local function done_direct(reply)
  flush_direct()
  tell_places()
  return done(reply)
end
