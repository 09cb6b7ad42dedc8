#!lua flags=no-writes,allow-oom
-- What waits in a shard, and whether a scheduler looks after it.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed
-- Returns: the time, the scheduler that has leased the shard, when its leases were last looked at, the job that has waited
--   for the longest to be published and since when it could run (both nothing when none waits); then of each index with
--   rows: name, queue or '', priority or '', rows, the lowest score, its job
-- Atomic because the heads must be of one moment.

local since, unpublished = math.huge, false
for priority = 0, 3 do
  for _, id in ipairs(call('ZRANGE', P .. 'outbox:' .. priority, 0, LOOK - 1)) do
    local r = record(id)
    if r and r.A and r.A < since and not r.p and (r.b or 0) == 0 then since, unpublished = r.A, id end
  end
end

local out = {
  NOW, call('GET', P .. 'lease'), call('HGET', KEYS[1], 'seen'), unpublished, unpublished and text(since)
}

local function head(index, name, queue, priority)
  local first = call('ZRANGE', P .. index, 0, 0, 'WITHSCORES')
  if #first == 0 then return end
  local parts = { name, queue, priority, call('ZCARD', P .. index), first[2], first[1] }
  for _, part in ipairs(parts) do out[#out + 1] = part end
end

for priority = 3, 0, -1 do
  head('due:' .. priority, 'due', '', '')
  head('outbox:' .. priority, 'outbox', '', '')
end
for _, index in ipairs({ 'running', 'expiring', 'edges', 'rel', 'dead' }) do head(index, index, '', '') end
-- A counter is named queue:status:function: a queue has one for each of its functions.
local seen = {}
for _, field in ipairs(call('HKEYS', P .. 'n')) do
  local queue = string.match(field, '^([^:]+):' .. QUEUED .. ':')
  if queue and not seen[queue] then
    seen[queue] = true
    for priority = 3, 0, -1 do head('ready:' .. queue .. ':' .. priority, 'ready', queue, tostring(priority)) end
  end
end
return out
