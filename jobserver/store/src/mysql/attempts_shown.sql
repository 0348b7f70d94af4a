-- The attempts at a job as people see them, the newest first.
SELECT id, revision, state, reason, worker, `release`, release_commit, records_done, work_ms, data_primary, data_gtid,
       started_at, ended_at, lease_until
FROM attempts
WHERE job_id = :job
ORDER BY id DESC
