-- A person's batches, but for those that are being removed.
SELECT batch_owners.batch_id
FROM batch_owners
JOIN batches ON batches.id = batch_owners.batch_id
WHERE batch_owners.owner = :owner AND batches.state <> 'abandoned'
ORDER BY batch_owners.batch_id DESC
LIMIT :limit
