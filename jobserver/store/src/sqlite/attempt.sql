-- An attempt; those at jobs of a batch that is being removed are gone.
SELECT attempts.id, attempts.job_id, attempts.secret, attempts.worker, attempts.revision, attempts.release,
       attempts.release_commit, attempts.state, attempts.reason, attempts.lease_ms, attempts.lease_until,
       attempts.records_done, attempts.work_ms, attempts.data_primary, attempts.data_gtid, attempts.started_at,
       attempts.ended_at
FROM attempts
JOIN jobs ON jobs.id = attempts.job_id
JOIN batches ON batches.id = jobs.batch_id
WHERE attempts.id = :attempt AND batches.state <> 'abandoned'
