INSERT INTO hours_of_work (hour, plugin, jobs, records, errors, work_ms, failures)
VALUES (:hour, :plugin, :jobs, :records, :errors, :work_ms, :failures)
ON CONFLICT (hour, plugin) DO UPDATE
SET jobs     = jobs + excluded.jobs,
    records  = records + excluded.records,
    errors   = errors + excluded.errors,
    work_ms  = work_ms + excluded.work_ms,
    failures = failures + excluded.failures
