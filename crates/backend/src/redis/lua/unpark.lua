#!lua flags=allow-oom
-- Parked jobs go to the outbox, due now, where a live worker has their function and consumes their queue.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit, then of each function: its name, how many queues, the queues
-- Returns: how many were released, and how many rows were looked at: as many as the limit when more may wait
-- Atomic because the row leaves one index and enters the other.

local limit, released = num(), 0
local left = limit

local function release(r)
  cut(r, 'k')
  put(r, 'x', NOW)
  save(r)
  released = released + 1
end

while at < #ARGV do
  local fn, queues, is_consumed = arg(), {}, {}
  for i = 1, num() do
    queues[i] = arg()
    is_consumed[queues[i]] = true
  end
  local index = 'parked:' .. fn
  if left > 0 and call('EXISTS', P .. index) == 1 then
    -- Earlier builds gave all of them the place 0.
    left = left - each(index, 0, left, function(r)
      if is_consumed[r.q] then release(r) else row(index, r.id, text(parking_of(r.q))) end
    end)
    for _, queue in ipairs(queues) do
      local place = text(parking_of(queue))
      if left > 0 then left = left - each(index, place, left, release, place) end
    end
  end
end
return done({ released, limit - left })
