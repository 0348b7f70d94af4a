-- What nobody named since is called what it was let in as.
SELECT worker,
       coalesce(nullif(name, ''), (SELECT enrolments.name FROM enrolments WHERE enrolments.worker = workers.worker), '')
           AS name,
       host, state, reason, release, refused, steps, replica, spool_jobs, spool_bytes, address, plugins, memory_mb, disk_mb, tags,
       drained, first_seen, last_seen, jobs_done, records_done,
       (SELECT count(*) FROM attempts WHERE attempts.worker = workers.worker AND attempts.state = 'running') AS jobs_running
FROM workers
ORDER BY last_seen DESC, worker
