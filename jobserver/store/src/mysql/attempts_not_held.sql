-- Running attempts on a worker's name that the worker does not know of. SQLite's
-- running_attempts.sql gives all of them, and its only writer compares.
SELECT id
FROM attempts
WHERE state = 'running' AND worker = :worker AND NOT JSON_CONTAINS(:holding, CAST(id AS CHAR))
