-- The waiting job of the highest priority, then the lowest number, of one plugin: one step into the index. It is locked;
-- those that other claims have in hand are skipped. SQLite needs no lock and reads
-- the whole job at once; first_waiting.sql says in which order to ask here.
SELECT id, priority
FROM jobs
WHERE state = 'waiting' AND plugin = :plugin
ORDER BY priority DESC, id
LIMIT 1
FOR UPDATE SKIP LOCKED
