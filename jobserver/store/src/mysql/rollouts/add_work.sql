-- The second half of SQLite's count_work.sql.
INSERT INTO rollout_work (`release`, worker, plugin, jobs, records, errors, work_ms, failures)
VALUES (:release, :worker, :plugin, :jobs, :records, :errors, :work_ms, :failures)
ON DUPLICATE KEY UPDATE
    jobs     = jobs + :jobs,
    records  = records + :records,
    errors   = errors + :errors,
    work_ms  = work_ms + :work_ms,
    failures = failures + :failures
