-- An attempt, its job, and what a move needs of the job's batch. SQLite reads attempt.sql and job.sql one after the
-- other inside its only writer; here one statement sees both at the same moment, whatever other servers do in between.
SELECT attempts.id AS attempt_id, attempts.secret, attempts.worker, attempts.state AS attempt_state,
       attempts.revision AS attempt_revision, attempts.lease_ms AS attempt_lease_ms,
       jobs.id, jobs.batch_id, jobs.plugin, jobs.state, jobs.revision, jobs.first_record, jobs.records, jobs.failures,
       jobs.attempt_id AS held_by, batches.lease_ms, batches.max_attempts
FROM attempts
JOIN jobs ON jobs.id = attempts.job_id
JOIN batches ON batches.id = jobs.batch_id
WHERE attempts.id = :attempt
