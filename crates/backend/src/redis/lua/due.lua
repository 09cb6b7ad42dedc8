-- What the scripts share that take what is due: `direct.lua` is put before this file.

-- Payloads that are read together.
local READ = 32

-- Takes what is due of an index over the four groups of urgency, the most urgent first, until its payloads are heavy:
-- what is left comes with the next call. `take` gets id, index, priority and payload, and answers how heavy what it sent
-- is. Answers how many rows were looked at, or the limit when more may be due.
local function take_due(name, limit, take)
  local looked, heavy = 0, 0
  for priority = 3, 0, -1 do
    local index, ids = name .. ':' .. priority, {}
    if looked < limit and heavy <= WEIGHT then
      ids = call('ZRANGEBYSCORE', P .. index, '-inf', NOW_TEXT, 'LIMIT', 0, limit - looked)
      looked = looked + #ids
    end
    for before = 0, #ids - 1, READ do
      if heavy > WEIGHT then break end
      local keys, page = { 'MGET' }, {}
      for i = before + 1, math.min(before + READ, #ids) do
        keys[#keys + 1] = P .. 'p:' .. ids[i]
        page[#page + 1] = ids[i]
      end
      read_records(page)
      for i, payload in ipairs(call(unpack(keys))) do
        if heavy > WEIGHT then break end
        heavy = heavy + take(ids[before + i], index, text(priority), payload)
      end
    end
  end
  return heavy > WEIGHT and limit or looked
end

-- Appends what the broker needs of a dispatch, and answers how heavy it is.
local function dispatched(out, id, g, q, priority, a, y, l, payload)
  local n = #out
  out[n + 1], out[n + 2], out[n + 3], out[n + 4] = id, g, q, priority
  out[n + 5], out[n + 6], out[n + 7], out[n + 8] = a, y, l, payload
  return payload and #payload or 0
end
