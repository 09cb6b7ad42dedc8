#!lua flags=allow-oom
-- These children of a parent were told and leave its set.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, parent, then the children
-- Returns: 1 when others wait to be told
-- Atomic because a child that registers at the same moment must be counted.

local r = load(arg())
if not r then return 0 end
local told, waiting = 0, 0
while at < #ARGV do
  local child = arg()
  told = told + call('SREM', P .. 'kt:' .. r.id, child)
  waiting = waiting + call('SREM', P .. 'kw:' .. r.id, child)
end
local function take(field, by)
  local left = math.max((r[field] or 0) - by, 0)
  if left > 0 then put(r, field, left) else cut(r, field) end
end
take('K', told + waiting)
take('W', waiting)
local more = r.R ~= nil and has_children_to_tell(r, r.G)
if r.R then
  if more then
    put(r, 'R', NOW)
  else
    cut(r, 'R')
    cut(r, 'G')
  end
end
save(r)
return done(more and 1 or 0)
