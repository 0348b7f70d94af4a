-- SQLite reads one at a time (lane.sql). The parenthesis is repeated.
SELECT id, batch_id, plugin, priority, requirements
FROM lanes
WHERE id IN (?)
