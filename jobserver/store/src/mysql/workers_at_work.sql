-- Workers as verbs see them. SQLite reads one at a time (worker_at_work.sql). The parenthesis is repeated.
SELECT worker, name, plugins, memory_mb, disk_mb, tags, drained, failures_in_row, failing_job, failing_since, first_seen,
       last_seen, jobs_done, records_done
FROM workers
WHERE worker IN (?)
