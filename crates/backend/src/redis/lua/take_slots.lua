#!lua flags=allow-oom
-- Takes free slots of other workers, for jobs that wait too long in one.
--
-- KEYS: 1 the workers, 2 when they were seen, 3 slots that are taken, then for each want the workers with free slots for
--   its queue
-- ARGV: id of who asks, how long a worker counts as live, how long a slot stays taken, both in milliseconds; then for each
--   want: queue, function, how many at most
-- Returns: of each want: how many
-- Atomic because a slot that is free must be taken by one worker alone.

-- Workers that are looked at for one want, at random: where many have free slots, any will do.
local LOOK = 16

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local views = {}

-- The view of a worker that lives, or false.
local function view(id)
  if views[id] == nil then
    local seen = redis.call('ZSCORE', KEYS[2], id)
    local packed = seen and tonumber(seen) >= now - ARGV[2] and redis.call('HGET', KEYS[1], id)
    local is_read, worker = pcall(cmsgpack.unpack, packed or '')
    views[id] = packed and is_read and worker or false
  end
  return views[id]
end

local function has(list, name)
  for _, one in ipairs(list) do
    if one == name then return true end
  end
  return false
end

-- What is left of a worker's free slots, and how many are taken.
local function left(id, free)
  local taken, ends = string.match(redis.call('HGET', KEYS[3], id) or '', '^(%d+):(%d+)$')
  taken = taken and tonumber(ends) > now and tonumber(taken) or 0
  return free - taken, taken
end

local out = {}
for i = 4, #KEYS do
  local at = 4 + (i - 4) * 3
  local queue, func, most = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local got = 0
  for _, id in ipairs(redis.call('SRANDMEMBER', KEYS[i], LOOK)) do
    local worker = view(id)
    if not worker then
      redis.call('SREM', KEYS[i], id)
    elseif got < most and id ~= ARGV[1] and not worker.draining and has(worker.queues, queue)
      and has(worker.functions, func) then
      local free, taken = left(id, worker.free or 0)
      local take = math.min(free, most - got)
      if take > 0 then
        redis.call('HSET', KEYS[3], id, (taken + take) .. ':' .. (now + ARGV[3]))
        redis.call('PEXPIRE', KEYS[3], ARGV[2])
        got = got + take
      end
    end
  end
  out[#out + 1] = got
end
return out
