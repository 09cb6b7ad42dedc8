#!lua
-- Writes the progress of running jobs; others' is dropped. Refused when Redis is out of memory.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id, nonce and encoded progress of each
-- Returns: nothing
-- Atomic because a late writer must not revive the progress of a job that ended or changed hands.

while at < #ARGV do
  local id, nonce, progress = arg(), arg(), arg()
  local key = P .. 'j:' .. id
  local seen = call('HMGET', key, 'o', 'z')
  if seen[1] == nonce then
    call('SET', P .. 'g:' .. id, progress)
    call('XADD', P .. 'gs:' .. id, 'MAXLEN', STREAM, '*', 'p', progress)
    if not seen[2] then call('HSET', key, 'z', 1) end
    wake(id, 'p')
  end
end
return false
