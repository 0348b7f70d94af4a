-- The first waiting job of one plugin, without a lock.
SELECT id, priority
FROM jobs
WHERE state = 'waiting' AND plugin = :plugin
ORDER BY priority DESC, id
LIMIT 1
