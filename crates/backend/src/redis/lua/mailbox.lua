#!lua flags=no-writes,allow-oom
-- The mailbox.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed
-- Returns: its version, now, then of each text: key, text
-- Atomic because the texts must be of one version.

local out = { tonumber(call('HGET', KEYS[1], 'mailbox') or nil) or 0, NOW }
for _, value in ipairs(call('HGETALL', P .. 'mailbox')) do out[#out + 1] = value end
return out
