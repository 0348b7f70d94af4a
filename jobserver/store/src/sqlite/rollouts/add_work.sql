INSERT INTO rollout_work (release, worker, plugin, jobs, records, errors, work_ms, failures)
VALUES (:release, :worker, :plugin, :jobs, :records, :errors, :work_ms, :failures)
ON CONFLICT (release, worker, plugin) DO UPDATE
SET jobs     = jobs + excluded.jobs,
    records  = records + excluded.records,
    errors   = errors + excluded.errors,
    work_ms  = work_ms + excluded.work_ms,
    failures = failures + excluded.failures
