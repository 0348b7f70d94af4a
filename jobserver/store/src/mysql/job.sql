-- What the rules and a move need to know of a job. SQLite reads it with the attempt or with the claim's search; held_by
-- is its attempt_id.
SELECT jobs.id, jobs.batch_id, jobs.plugin, jobs.state, jobs.revision, jobs.first_record, jobs.records, jobs.failures,
       jobs.attempt_id AS held_by, batches.lease_ms, batches.max_attempts
FROM jobs
JOIN batches ON batches.id = jobs.batch_id
WHERE jobs.id = :job
