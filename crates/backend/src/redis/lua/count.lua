-- What happened to jobs, for the statistics: gathered here by function, queue and bucket of time, and written together
-- by `done`, one command for each that differs. Says the same as `stats::happening` of the core.
--
-- A minute, `st:m:<minute>`, and an hour, `st:h:<hour>`, are hashes: `<code><bucket>:<queue>:<function>` has a count,
-- `:<queue>:<function>` stands for each pair that has a row, `rows` is their number. Pairs that find no room share
-- the row `::`. `st:minutes` and `st:hours` list what there is. A minute that is over is added to its hour.

local happened = {}

-- The bucket of a time in milliseconds: that of `Histogram::bucket_of`.
local function bucket_of(time)
  if time < 8 then return math.max(time, 0) end
  local _, exponent = math.frexp(time)
  local doublings = exponent - 4
  return math.min(doublings * 8 + math.floor(time / 2 ^ doublings), 239)
end

-- Adds to a bucket. The first of its kind may need a row of its own: `opened` is called for the first row.
local function add_up(call, key, field, by, opened)
  if call('HINCRBY', key, field, by) ~= by then return end
  local code, place = string.match(field, '^(%a%d*)(:.*)$')
  if place == '::' or call('HSETNX', key, place, 1) == 0 then return end
  local number = call('HINCRBY', key, 'rows', 1)
  if number == 1 then opened() end
  if number <= ROWS then return end
  call('HDEL', key, field, place)
  call('HINCRBY', key, 'rows', -1)
  call('HINCRBY', key, code .. '::', by)
end

-- Makes room when a minute begins. What is seldom needed is made then: each function costs a script as much as a command.
local function begin_minute(call, P, now, minute)
  -- Remembers that a bucket is there, in a list of those of its kind.
  local function open(list, number, key)
    call('RPUSH', list, number)
    call('PEXPIRE', list, HOURS_KEPT)
    call('PEXPIRE', key, HOURS_KEPT)
  end

  -- Adds a minute to its hour.
  local function fold(first)
    local from, hour = P .. 'st:m:' .. first, math.floor(first / 60)
    local to, flat = P .. 'st:h:' .. hour, call('HGETALL', from)
    for i = 1, #flat, 2 do
      if string.find(flat[i], '^%a%d*:') then
        add_up(call, to, flat[i], tonumber(flat[i + 1]), function() open(P .. 'st:hours', hour, to) end)
      end
    end
    call('UNLINK', from)
  end

  -- Takes numbers off a list that begin longer ago than `kept`: a few at a time, so that a long rest stalls nobody.
  local function turn(list, length, kept, act)
    for _ = 1, 4 do
      local first = tonumber(call('LINDEX', list, 0) or nil)
      if not first or first * length + kept > now then return end
      call('LPOP', list)
      act(first)
    end
  end

  open(P .. 'st:minutes', minute, P .. 'st:m:' .. minute)
  turn(P .. 'st:minutes', 60000, MINUTES_KEPT, fold)
  turn(P .. 'st:hours', 3600000, HOURS_KEPT, function(first) call('UNLINK', P .. 'st:h:' .. first) end)
end

local function write_happened(call, P, now)
  if not next(happened) then return end
  local minute = math.floor(now / 60000)
  local function opened() begin_minute(call, P, now, minute) end
  for field, by in pairs(happened) do add_up(call, P .. 'st:m:' .. minute, field, by, opened) end
end
