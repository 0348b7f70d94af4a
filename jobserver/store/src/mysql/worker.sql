-- What nobody named since is called what it was let in as.
-- runs_on is NULL of attempts that do not run.
SELECT worker,
       coalesce(nullif(name, ''), (SELECT enrolments.name FROM enrolments WHERE enrolments.worker = workers.worker), '')
           AS name,
       host, state, reason, `release`, refused, steps, replica, spool_jobs, spool_bytes, address, plugins, memory_mb, disk_mb, tags,
       drained, first_seen, last_seen, jobs_done, records_done,
       (SELECT count(*)
        FROM attempts
        WHERE attempts.runs_on = workers.worker) AS jobs_running
FROM workers
WHERE worker = :worker
