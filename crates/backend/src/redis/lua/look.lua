#!lua flags=no-writes,allow-oom
-- Everything that is kept of jobs.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, 1 for envelope, result and history, then the ids
-- Returns: of each an array: record as fields and values (empty when unknown), progress, error, open parents with
--   their policies; envelope, result, history
-- Atomic because the parts must be of one moment.

local full, out = num() == 1, {}
while at < #ARGV do
  local id = arg()
  local view, r = { {} }, record(id)
  if r then
    for field, value in pairs(r) do
      table.insert(view[1], field)
      table.insert(view[1], type(value) == 'number' and text(value) or value)
    end
    view[2] = call('GET', P .. 'g:' .. id)
    view[3] = call('GET', P .. 'e:' .. id)
    view[4] = call('HGETALL', P .. 'o:' .. id)
    if full then
      view[5] = call('GET', P .. 'p:' .. id)
      view[6] = result_of(id)
      view[7] = call('LRANGE', P .. 'h:' .. id, 0, -1)
    end
  end
  out[#out + 1] = view
end
return out
