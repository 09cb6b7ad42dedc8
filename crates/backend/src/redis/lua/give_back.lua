#!lua flags=allow-oom
-- Gives unstarted jobs back: Queued with that gen only, and a new gen after it.
--
-- KEYS: 1 the shard's meta hash
-- ARGV: seed, then id, gen, reason (unstarted, not_runnable, park) and function of each
-- Returns: nothing
-- Atomic because a job that was claimed meanwhile must stay with its owner.

while at < #ARGV do
  local r, gen, reason, fn = load(arg()), num(), arg(), arg()
  if r and r.s == QUEUED and r.g == gen then
    local times, publish_at = r.b or 0, NOW
    if reason ~= 'unstarted' then
      -- 0.2 s x 2^n up to 60 s: workers of another build come and go with deployments.
      if reason == 'not_runnable' then publish_at = NOW + math.min(200 * 2 ^ math.min(times, 16), 60000) end
      put(r, 'b', times + 1)
    end
    to_queued(r, publish_at)
    if reason == 'park' then
      put(r, 'k', fn)
      cut(r, 'x')
    end
    save(r)
  end
end
return done(false)
