#!lua flags=allow-oom
-- The broker confirmed dispatches: outbox to ready, where the job is still Queued with that gen.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id and gen of each
-- Returns: nothing
-- Atomic because the row leaves one index and enters the other, only for the gen that was confirmed.

return nil
---- direct
for i = 2, #ARGV, 2 do
  local id, gen = ARGV[i], ARGV[i + 1]
  local key = P .. 'j:' .. id
  local seen = call('HMGET', key, 's', 'g', 'q', 'P', 'x', 'k')
  if seen[1] == '2' and seen[2] == gen and not seen[6] then
    local priority = seen[4]
    if seen[5] then
      call('HDEL', key, 'x')
      rem('outbox:' .. priority, id)
    end
    call('HSET', key, 'p', NOW_TEXT)
    add('ready:' .. seen[3] .. ':' .. priority, NOW_TEXT, id)
  end
end
flush_direct()
return false
