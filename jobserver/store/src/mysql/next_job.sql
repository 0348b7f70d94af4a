-- The waiting job of the highest priority, then the lowest number, of one plugin: one step into the index. It is locked;
-- those that other claims have in hand are skipped. A lock cannot be taken through SQLite's list of plugins:
-- first_waiting.sql says in which order to ask.
SELECT id, priority
FROM jobs
WHERE state = 'waiting' AND plugin = :plugin
ORDER BY priority DESC, id
LIMIT 1
FOR UPDATE SKIP LOCKED
