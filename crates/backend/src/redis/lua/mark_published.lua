#!lua flags=allow-oom
-- The broker confirmed dispatches: outbox to ready, where the job is still Queued with that gen.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and gen of each
-- Returns: nothing
-- Atomic because the row leaves one index and enters the other, only for the gen that was confirmed.

return nil
---- direct
local ids = {}
for i = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end

-- Most were claimed meanwhile: their rows are gone, and so much less is to be read than their records.
for priority = 3, 0, -1 do
  local outbox = 'outbox:' .. priority
  if call('EXISTS', P .. outbox) == 1 then
    for i, score in ipairs(call('ZMSCORE', P .. outbox, unpack(ids))) do
      local id, key = ids[i], score and J .. ids[i]
      local seen = key and call('HMGET', key, 's', 'g', 'q', 'P')
      if seen and seen[1] == '2' and seen[2] == ARGV[2 * i + 1] then
        call('HDEL', key, 'x')
        call('HSET', key, 'p', NOW_TEXT)
        rem('outbox:' .. seen[4], id)
        add('ready:' .. seen[3] .. ':' .. seen[4], NOW_TEXT, id)
      end
    end
  end
end
flush_direct()
return false
