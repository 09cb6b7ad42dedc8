#!lua flags=allow-oom
-- Pauses a queue in this shard, or resumes it. A full Redis must do it too: a pause is how people get it empty.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, queue, 1 to pause or 0 to resume
-- Returns: nothing
-- Atomic because it is one command; it is a script for its flag.

local queue, pause = arg(), num()
call(pause == 1 and 'SADD' or 'SREM', P .. 'paused', queue)
return false
