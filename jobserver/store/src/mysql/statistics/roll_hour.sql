-- What is read has names of its own: the row that is there already has the same ones.
INSERT INTO work_done
    (span_ms, began, worker, `release`, plugin, turnaround, jobs, records, errors, work_ms, failures, pickups)
SELECT 86400000, hours.began - hours.began % 86400000, hours.worker, hours.`release`, hours.plugin, hours.turnaround,
       hours.jobs, hours.records, hours.errors, hours.work_ms, hours.failures, hours.pickups
FROM (SELECT began, worker, `release`, plugin, turnaround, jobs, records, errors, work_ms, failures, pickups
      FROM work_done
      WHERE span_ms = 3600000 AND began = :hour) AS hours
ON DUPLICATE KEY UPDATE
    jobs     = work_done.jobs + hours.jobs,
    records  = work_done.records + hours.records,
    errors   = work_done.errors + hours.errors,
    work_ms  = work_done.work_ms + hours.work_ms,
    failures = work_done.failures + hours.failures,
    pickups  = work_done.pickups + hours.pickups
