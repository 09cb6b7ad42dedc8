#!lua flags=allow-oom
-- Makes lost records anew from what workers hold, and claims them or gives them back. Known jobs answer as to a
-- claim; one that is given back, that it ended or is stale.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then of each: the job (see `read_job`), gen, attempts, retries, losts, nonce, worker, what is done
--   then (claim, go_on, give_back)
-- Returns: of each its answer (see `claim`)
-- Atomic because two workers may find the same record missing: one of them makes it and owns it.

-- Appends the answer for a job that is given back.
local function hand_back(out, id, gen)
  local r = load(id)
  give_back(id, r, gen, 'unstarted')
  local s = (r or tombstone(id)).s
  if s >= COMPLETED then return ended(out, s) end
  out[#out + 1] = 'stale'
end

local out = {}
while at < #ARGV do
  local job = read_job()
  local gen, attempts, retries, losts, nonce, worker, next = num(), num(), num(), num(), arg(), arg(), arg()
  local runs = false
  if call('EXISTS', P .. 'j:' .. job.id, P .. 't:' .. job.id) == 0 then
    local r = unplaced(job)
    note(r, 'n')
    put(r, 's', QUEUED)
    put(r, 'A', NOW)
    put(r, 'g', gen)
    put(r, 'a', attempts)
    put(r, 'y', retries)
    put(r, 'l', losts)
    put(r, 'p', NOW)
    -- It had started once: its expiry counts no more.
    if attempts > 0 then put(r, 'S', NOW) end
    -- A later dispatch has started once, or was requeued by somebody who wants it to run.
    if gen > 1 then cut(r, 'e') end
    if next == 'go_on' then
      put(r, 'a', math.max(attempts - 1, 0))
      run(out, r, nonce, worker)
      runs = true
    else
      save(r)
    end
  end
  if next == 'give_back' then
    hand_back(out, job.id, gen)
  elseif not runs then
    claim(out, job.id, gen, nonce, worker)
  end
end
return done(out)
