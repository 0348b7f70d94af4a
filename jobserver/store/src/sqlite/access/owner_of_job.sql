SELECT owner
FROM jobs
JOIN batch_owners ON batch_owners.batch_id = jobs.batch_id
WHERE jobs.id = :job
