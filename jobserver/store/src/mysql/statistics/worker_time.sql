SELECT state, reason, CAST(sum(worker_minutes) AS UNSIGNED) AS worker_minutes, CAST(sum(minutes) AS UNSIGNED) AS minutes
FROM worker_time
WHERE span_ms IN (3600000, 86400000) AND began >= :since AND began < :until
GROUP BY state, reason
ORDER BY worker_minutes DESC, state, reason
