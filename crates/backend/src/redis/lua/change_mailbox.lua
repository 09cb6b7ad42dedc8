#!lua flags=allow-oom
-- Changes the mailbox, unless another change came between. A change of whatever is there raises the version even when
-- it finds nothing: whoever has read the mailbox before it must not write what the change wants gone.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, version as read or '', number of texts, key and text of each, then the keys of those to be deleted
-- Returns: 1 when it was changed
-- Atomic because two schedulers must not make letters of the same events, nor send the same letter at once.

local version = opt()
if version and version ~= (call('HGET', KEYS[1], 'mailbox') or '0') then return 0 end
local key, changed = P .. 'mailbox', 0
for _ = 1, num() do
  local name = arg()
  call('HSET', key, name, arg())
  changed = changed + 1
end
while at < #ARGV do changed = changed + call('HDEL', key, arg()) end
if changed > 0 or not version then call('HINCRBY', KEYS[1], 'mailbox', 1) end
return 1
