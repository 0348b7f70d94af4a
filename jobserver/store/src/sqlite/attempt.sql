-- An attempt, and what the rules and a move need to know of its job: the job's columns are those of next_job.sql.
SELECT attempts.id AS attempt, attempts.secret, attempts.worker AS attempt_worker, attempts.state AS attempt_state,
       attempts.revision AS attempt_revision, attempts.lease_ms AS attempt_lease_ms,
       jobs.id, jobs.batch_id, jobs.plugin, jobs.priority, jobs.state, jobs.revision, jobs.first_record, jobs.records,
       jobs.failures, jobs.attempt_id, batches.lease_ms, batches.max_attempts, job_types.records AS measured_records,
       job_types.work_ms AS measured_ms
FROM attempts
JOIN jobs ON jobs.id = attempts.job_id
JOIN batches ON batches.id = jobs.batch_id
LEFT JOIN job_types ON job_types.plugin = jobs.plugin
WHERE attempts.id = :attempt
