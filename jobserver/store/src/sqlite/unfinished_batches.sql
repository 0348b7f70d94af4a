-- Hand-ins that a server did not live to finish or to remove.
SELECT id, name, plugin, records,
       (SELECT owner FROM batch_owners WHERE batch_owners.batch_id = batches.id) AS owner
FROM batches
WHERE state IN ('receiving', 'abandoned')
ORDER BY id
