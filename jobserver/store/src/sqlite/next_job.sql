-- A plugin's waiting job of the highest priority, then the lowest number: one step into the index, however many jobs
-- wait. The job's columns are those of attempt.sql.
SELECT jobs.id, jobs.batch_id, jobs.plugin, jobs.priority, jobs.state, jobs.revision, jobs.first_record, jobs.records,
       jobs.failures, jobs.attempt_id, batches.lease_ms, batches.max_attempts, job_types.records AS measured_records,
       job_types.work_ms AS measured_ms
FROM jobs
JOIN batches ON batches.id = jobs.batch_id
LEFT JOIN job_types ON job_types.plugin = jobs.plugin
WHERE jobs.id = (
    SELECT first.id
    FROM jobs AS first
    WHERE first.state = 'waiting' AND first.plugin = :plugin
    ORDER BY first.priority DESC, first.id
    LIMIT 1
)
