-- Named, since rows are read by the names of their columns here.
SELECT count(*) AS workers
FROM workers
WHERE last_seen >= :active_since
