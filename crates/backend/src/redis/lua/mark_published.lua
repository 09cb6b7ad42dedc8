#!lua flags=allow-oom
-- The broker confirmed dispatches: outbox to ready, where the job is still Queued with that gen.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and gen of each
-- Returns: nothing
-- Atomic because the row leaves one index and enters the other, only for the gen that was confirmed.

return function(id, gen)
  local r = load(id)
  if not r or r.s ~= QUEUED or r.g ~= gen or not r.x then return end
  cut(r, 'x')
  put(r, 'p', NOW)
  save(r)
  flush()
end
---- direct
local ids = {}
for i = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end

-- Most were claimed meanwhile: their rows are gone, and so much less is to be read than their records.
local waiting, gens = {}, {}
for priority = 3, 0, -1 do
  local outbox = P .. 'outbox:' .. priority
  if call('EXISTS', outbox) == 1 then
    for i, score in ipairs(call('ZMSCORE', outbox, unpack(ids))) do
      if score then
        waiting[#waiting + 1] = ids[i]
        gens[#gens + 1] = tonumber(ARGV[2 * i + 1])
      end
    end
  end
end
read_records(waiting)
for i, id in ipairs(waiting) do
  local record = record_of(id)
  if not record then
    rarely(id, gens[i])
  elseif sub(record, 2, 2) == '2' then
    local priority, gen = sub(record, 1, 1), read('>I4', record, 63)
    if gen == gens[i] and sub(record, 75, 82) ~= NOTHING_8 then
      write_record(id, sub(record, 1, 74) .. NOTHING_8 .. NOW_8 .. sub(record, 91))
      rem('outbox:' .. priority, id)
      add('ready:' .. read('Bc0', record, 115) .. ':' .. priority, NOW_TEXT, id)
    end
  end
end
flush_direct()
return false
