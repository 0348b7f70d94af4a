-- What nobody named since is called what it was let in as.
-- runs_on is NULL of attempts that do not run. || is a logical operator in MySQL.
SELECT worker,
       coalesce(nullif(name, ''), (SELECT enrolments.name FROM enrolments WHERE enrolments.worker = workers.worker), '')
           AS name,
       host, state, reason, `release`, refused, steps, replica, spool_jobs, spool_bytes, address, plugins, memory_mb, disk_mb, tags,
       drained, first_seen, last_seen, jobs_done, records_done,
       (SELECT count(*)
        FROM attempts
        WHERE attempts.runs_on = workers.worker) AS jobs_running
FROM workers
WHERE worker > :after
  AND (:shown IS NULL
       OR CASE WHEN last_seen < :away_before THEN 'away' WHEN drained IS NOT NULL THEN 'drained' ELSE state END = :shown)
  AND (:release IS NULL OR `release` = :release)
  AND (:text IS NULL OR INSTR(lower(CONCAT_WS(' ', worker, name, host)), lower(:text)) > 0)
ORDER BY worker
LIMIT :limit
