-- Whose a batch is; a batch that is being removed is nobody's.
SELECT batch_owners.owner
FROM batch_owners
JOIN batches ON batches.id = batch_owners.batch_id
WHERE batch_owners.batch_id = :batch AND batches.state <> 'abandoned'
