-- An attempt, its job, and what a move needs of the job's batch: one statement sees all of it at the same moment,
-- whatever other servers do in between. SQLite's reads the plugin's speed as well, here measured.sql does.
SELECT attempts.id AS attempt_id, attempts.secret, attempts.worker, attempts.state AS attempt_state,
       attempts.revision AS attempt_revision, attempts.lease_ms AS attempt_lease_ms,
       jobs.id, jobs.batch_id, jobs.plugin, jobs.state, jobs.revision, jobs.first_record, jobs.records, jobs.failures,
       jobs.attempt_id AS held_by, batches.lease_ms, batches.max_attempts
FROM attempts
JOIN jobs ON jobs.id = attempts.job_id
JOIN batches ON batches.id = jobs.batch_id
WHERE attempts.id = :attempt
