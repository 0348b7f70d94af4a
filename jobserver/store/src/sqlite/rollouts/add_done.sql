INSERT INTO work_done (span_ms, began, worker, release, plugin, turnaround, jobs, records, errors, work_ms, failures, pickups)
VALUES (3600000, :hour, :worker, :release, :plugin, :turnaround, :jobs, :records, :errors, :work_ms, :failures, :pickups)
ON CONFLICT (span_ms, began, worker, release, plugin, turnaround) DO UPDATE
SET jobs     = jobs + excluded.jobs,
    records  = records + excluded.records,
    errors   = errors + excluded.errors,
    work_ms  = work_ms + excluded.work_ms,
    failures = failures + excluded.failures,
    pickups  = pickups + excluded.pickups
