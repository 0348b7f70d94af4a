SELECT state, reason, sum(worker_minutes) AS worker_minutes, sum(minutes) AS minutes
FROM worker_time
WHERE span_ms IN (3600000, 86400000) AND began >= :since AND began < :until
GROUP BY state, reason
ORDER BY worker_minutes DESC, state, reason
