-- At work the reason is the job, and who is away gives none.
SELECT CASE WHEN last_seen < :away_before THEN 'away' WHEN drained IS NOT NULL THEN 'drained' ELSE state END AS shown,
       CASE WHEN last_seen < :away_before THEN '' WHEN drained IS NOT NULL THEN drained
            WHEN state = 'working' THEN '' ELSE reason END AS why,
       count(*) AS workers
FROM workers
GROUP BY shown, why
ORDER BY workers DESC, shown, why
LIMIT 30
