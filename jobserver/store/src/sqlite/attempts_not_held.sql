-- Running attempts on a worker's name that the worker does not know of.
SELECT id
FROM attempts
WHERE state = 'running' AND worker = :worker AND id NOT IN (SELECT value FROM json_each(:holding))
