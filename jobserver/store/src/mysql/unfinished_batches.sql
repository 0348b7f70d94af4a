-- Hand-ins that are not finished or not removed, and the servers that began them: they may well be alive.
SELECT id, receiver
FROM batches
WHERE state IN ('receiving', 'abandoned')
ORDER BY id
