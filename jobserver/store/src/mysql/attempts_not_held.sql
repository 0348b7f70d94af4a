-- Running attempts on a worker's name that the worker does not know of. JSON_CONTAINS where SQLite has json_each.
SELECT id
FROM attempts
WHERE state = 'running' AND worker = :worker AND NOT JSON_CONTAINS(:holding, CAST(id AS CHAR))
