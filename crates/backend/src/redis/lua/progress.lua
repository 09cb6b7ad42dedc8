#!lua
-- Writes the progress of running jobs and adds lines to their logs; others' is dropped. Refused when Redis is out of
-- memory.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then of each: id, nonce, encoded progress, lines (see `read_lines`)
-- Returns: nothing
-- Atomic because a late writer must not revive the progress of a job that ended or changed hands.

while at < #ARGV do
  local id, nonce, progress, lines = arg(), arg(), arg(), read_lines()
  local key = P .. 'j:' .. id
  local seen = call('HMGET', key, 'o', 'z', 'j', 's')
  if seen[1] == nonce and seen[4] == '3' then
    if #lines > 0 then call('HSET', key, 'j', text(add_lines(id, tonumber(seen[3] or 0), lines))) end
    call('SET', P .. 'g:' .. id, progress)
    call('XADD', P .. 'gs:' .. id, 'MAXLEN', STREAM, '*', 'p', progress)
    if not seen[2] then call('HSET', key, 'z', 1) end
    wake(id, 'p')
  end
end
return false
