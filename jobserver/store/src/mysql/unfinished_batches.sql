-- Hand-ins that are not finished or not removed, and the servers that began them: they may well be alive.
SELECT id, receiver, name, plugin, records,
       (SELECT owner FROM batch_owners WHERE batch_owners.batch_id = batches.id) AS owner
FROM batches
WHERE state IN ('receiving', 'abandoned')
ORDER BY id
