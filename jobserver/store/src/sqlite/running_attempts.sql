-- Running attempts on a worker's name.
SELECT id
FROM attempts
WHERE state = 'running' AND worker = :worker
