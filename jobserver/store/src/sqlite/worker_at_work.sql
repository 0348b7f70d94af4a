-- A worker as verbs see it.
SELECT name, plugins, memory_mb, disk_mb, tags, drained, failures_in_row, failing_job, failing_since, first_seen, last_seen,
       jobs_done, records_done
FROM workers
WHERE worker = :worker
