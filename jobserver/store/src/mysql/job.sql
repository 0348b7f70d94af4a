-- What the rules and a move need to know of a job; held_by is SQLite's attempt_id, named as in attempt.sql.
SELECT jobs.id, jobs.batch_id, jobs.plugin, jobs.state, jobs.revision, jobs.first_record, jobs.records, jobs.failures,
       jobs.attempt_id AS held_by, batches.lease_ms, batches.max_attempts
FROM jobs
JOIN batches ON batches.id = jobs.batch_id
WHERE jobs.id = :job
