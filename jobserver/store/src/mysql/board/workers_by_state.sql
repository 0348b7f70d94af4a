SELECT CASE WHEN last_seen < :away_before THEN 'away' WHEN drained IS NOT NULL THEN 'drained' ELSE state END AS shown,
       count(*) AS workers
FROM workers
GROUP BY shown
ORDER BY workers DESC, shown
