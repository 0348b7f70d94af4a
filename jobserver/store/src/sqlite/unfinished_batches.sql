-- Hand-ins that a server did not live to finish or to remove.
SELECT id
FROM batches
WHERE state IN ('receiving', 'abandoned')
