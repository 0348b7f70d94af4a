SELECT count(*)
FROM workers
WHERE last_seen >= :active_since
