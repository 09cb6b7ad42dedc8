#!lua flags=allow-oom
-- How the records behind archived twins stand. A record that a wipe took is made anew as Failed.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then of each twin: id, gen, epoch, end, attempts, start of the last attempt or '', encoded error, length
--   of its history, the history, 1 and the job (see `read_job`) or 0 when its envelope cannot be read
-- Returns: of each: keep, stale, dropped or rebuilt
-- Atomic because two keepers, or a keeper and a producer, may find the same record missing.

local function read_twin()
  local twin = { id = arg(), gen = num(), epoch = arg(), dead_at = num(), attempts = num(), started = num() }
  twin.error, twin.history = arg(), {}
  for i = 1, num() do twin.history[i] = arg() end
  if num() == 1 then twin.job = read_job() end
  return twin
end

local function revive(twin)
  local r = unplaced(twin.job)
  put(r, 's', FAILED)
  put(r, 'g', twin.gen)
  put(r, 'a', twin.attempts)
  ends_at(r, twin.dead_at)
  put(r, 'D', 1)
  if twin.started then put(r, 'S', twin.started) end
  for _, row in ipairs(twin.history) do call('RPUSH', P .. 'h:' .. r.id, row) end
  keep_error(r, twin.error)
  save(r)
end

local function stands(twin)
  local r = load(twin.id)
  if r then
    if r.s == FAILED and r.g == twin.gen then
      put(r, 'D', 1)
      save(r)
      return 'keep'
    end
    -- The store went back in time: what the twin tells has yet to happen again.
    return r.g < twin.gen and 'keep' or 'stale'
  end
  if call('EXISTS', P .. 't:' .. twin.id) == 1 then return 'stale' end
  if twin.epoch == epoch() then return 'dropped' end
  if not twin.job then return 'keep' end
  revive(twin)
  return 'rebuilt'
end

local out = {}
while at < #ARGV do out[#out + 1] = stands(read_twin()) end
return done(out)
