#!lua flags=allow-oom
-- Registers children with parents of this shard. Twice is the same as once.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then parent, child and policy of each edge
-- Returns: of each: how the parent stands (O open, U unknown, C completed, F failed, X cancelled, G gone, N no room
--   for another child), its result
-- Atomic because a parent that ends meanwhile must either have the child in its set or tell its end here.

-- Answers whether there was room.
local function join(r, child, policy)
  local waits = policy % 3 == 0
  local key, other = P .. 'kt:' .. r.id, P .. 'kw:' .. r.id
  if waits then key, other = other, key end
  if (r.K or 0) >= CHILDREN then
    local known = call('SISMEMBER', key, child) + call('SISMEMBER', other, child)
    if known == 0 then return false end
  end
  local moved, added = call('SREM', other, child), call('SADD', key, child)
  if added == 1 and moved == 0 then put(r, 'K', (r.K or 0) + 1) end
  local by = waits and added or -moved
  if by ~= 0 then put(r, 'W', (r.W or 0) + by) end
  save(r)
  return true
end

local out = {}
local function answer(letter, result)
  out[#out + 1] = letter
  out[#out + 1] = result
end
while at < #ARGV do
  local parent, child, policy = arg(), arg(), num()
  local r = load(parent)
  if not r then
    local known = tombstone(parent)
    if not known then
      answer('U', false)
    elseif known.s == COMPLETED then
      answer('C', false)
    else
      answer((known.s == CANCELLED or known.s == EXPIRED) and 'X' or 'G', false)
    end
  elseif r.s >= COMPLETED and not (r.s == FAILED and policy % 3 == 0) then
    answer(outcome_of(r.s, parent))
  else
    answer(join(r, child, policy) and 'O' or 'N', false)
  end
end
return done(out)
