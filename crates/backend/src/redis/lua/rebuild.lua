#!lua flags=allow-oom
-- Makes lost records anew from what workers hold, and claims them. Known jobs answer as to a claim.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then of each: the job (see `read_job`), gen, attempts, retries, losts, nonce, worker, 1 when it runs
-- Returns: of each its answer (see `claim`)
-- Atomic because two workers may find the same record missing: one of them makes it and owns it.

local out = {}
while at < #ARGV do
  local job = read_job()
  local gen, attempts, retries, losts, nonce, worker, running = num(), num(), num(), num(), arg(), arg(), num()
  if call('EXISTS', P .. 'j:' .. job.id, P .. 't:' .. job.id) == 0 then
    local r = unplaced(job)
    put(r, 's', QUEUED)
    put(r, 'g', gen)
    put(r, 'a', attempts)
    put(r, 'y', retries)
    put(r, 'l', losts)
    put(r, 'p', NOW)
    -- It had started once: its expiry counts no more.
    if attempts > 0 then put(r, 'S', NOW) end
    -- A later dispatch has started once, or was requeued by somebody who wants it to run.
    if gen > 1 then cut(r, 'e') end
    if running == 1 then
      put(r, 'a', math.max(attempts - 1, 0))
      run(out, r, nonce, worker)
    else
      save(r)
      claim(out, job.id, gen, nonce, worker)
    end
  else
    claim(out, job.id, gen, nonce, worker)
  end
end
return done(out)
