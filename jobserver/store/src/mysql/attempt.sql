-- What fetching records asks of an attempt and its job, at the same moment. SQLite reads both with the queries of verbs.
SELECT attempts.id AS attempt_id, attempts.secret, attempts.state AS attempt_state, attempts.revision AS attempt_revision,
       jobs.id, jobs.batch_id, jobs.state, jobs.revision, jobs.first_record, jobs.records, jobs.attempt_id AS held_by
FROM attempts
JOIN jobs ON jobs.id = attempts.job_id
JOIN batches ON batches.id = jobs.batch_id
WHERE attempts.id = :attempt AND batches.state <> 'abandoned'
