#!lua flags=allow-oom
-- Ended parents with children to tell, each with a page of them. The row comes again after a lease.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, limit
-- Returns: of each: parent, outcome (C, F, X, G), result, number of children, the children
-- Atomic because the row is leased and the page is read in one step; a row whose set is empty goes.

local out = {}
pull_back('rel', 'R', OUTBOX_LEASE)
each('rel', NOW, num(), function(r)
  local letter, result = 'G', false
  if not r.G then letter, result = outcome_of(r.s, r.id) end
  local page = call('SRANDMEMBER', P .. 'kt:' .. r.id, PAGE)
  -- Those who wait for a requeue are not told of a failure.
  if letter ~= 'F' and #page < PAGE then
    for _, child in ipairs(call('SRANDMEMBER', P .. 'kw:' .. r.id, PAGE - #page)) do page[#page + 1] = child end
  end
  if #page == 0 then
    cut(r, 'R')
    cut(r, 'G')
    cut(r, 'K')
    cut(r, 'W')
    local waiting = call('SCARD', P .. 'kw:' .. r.id)
    if waiting > 0 then
      put(r, 'K', waiting)
      put(r, 'W', waiting)
    end
  else
    put(r, 'R', NOW + OUTBOX_LEASE)
  end
  save(r)
  out[#out + 1] = r.id
  out[#out + 1] = letter
  out[#out + 1] = result
  out[#out + 1] = #page
  for _, child in ipairs(page) do out[#out + 1] = child end
end)
return done(out)
