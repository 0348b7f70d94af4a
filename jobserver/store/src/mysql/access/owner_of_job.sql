-- Whose the batch of a job is; a batch that is being removed is nobody's.
SELECT batch_owners.owner
FROM jobs
JOIN batches ON batches.id = jobs.batch_id
JOIN batch_owners ON batch_owners.batch_id = jobs.batch_id
WHERE jobs.id = :job AND batches.state <> 'abandoned'
