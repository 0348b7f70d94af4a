-- How many workers each line is of; a worker that only failed is none of them.
SELECT began - began % :per AS line,
       CASE :by WHEN 'worker' THEN worker WHEN 'plugin' THEN plugin WHEN 'release' THEN `release` ELSE '' END
           AS of_what,
       count(DISTINCT worker) AS workers
FROM work_done
WHERE span_ms IN (3600000, 86400000) AND began >= :since AND began < :until AND jobs > 0
GROUP BY line, of_what
LIMIT :most
