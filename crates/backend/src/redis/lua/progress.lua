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
  local r = try(record, id)
  if r and r.o == nonce and r.s == RUNNING then
    -- The first update of an attempt, and lines, change the record; few others do.
    if #lines > 0 or not r.z then
      r = load(id)
      if #lines > 0 then put(r, 'j', add_lines(id, r.j or 0, lines)) end
      put(r, 'z', 1)
      save(r)
    end
    call('SET', P .. 'g:' .. id, progress)
    call('XADD', P .. 'gs:' .. id, 'MAXLEN', STREAM, '*', 'p', progress)
    wake(id, 'p')
  end
end
return done(false)
