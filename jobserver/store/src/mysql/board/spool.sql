-- Who is away keeps results, too. Sums are decimals here.
SELECT count(*) AS workers,
       CAST(coalesce(sum(spool_jobs), 0) AS SIGNED) AS jobs,
       CAST(coalesce(sum(spool_bytes), 0) AS SIGNED) AS bytes
FROM workers
WHERE spool_jobs > 0
