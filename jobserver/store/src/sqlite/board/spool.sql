-- Who is away keeps results, too.
SELECT count(*) AS workers, coalesce(sum(spool_jobs), 0) AS jobs, coalesce(sum(spool_bytes), 0) AS bytes
FROM workers
WHERE spool_jobs > 0
