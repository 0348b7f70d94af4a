-- Sums are cast: MySQL's are decimals.
SELECT began - began % :per AS line,
       CASE :by WHEN 'worker' THEN worker WHEN 'plugin' THEN plugin WHEN 'release' THEN `release` ELSE '' END
           AS of_what,
       turnaround,
       CAST(sum(jobs) AS UNSIGNED) AS jobs,
       CAST(sum(records) AS UNSIGNED) AS records,
       CAST(sum(errors) AS UNSIGNED) AS errors,
       CAST(sum(work_ms) AS UNSIGNED) AS work_ms,
       CAST(sum(failures) AS UNSIGNED) AS failures,
       CAST(sum(pickups) AS UNSIGNED) AS pickups
FROM work_done
WHERE span_ms IN (3600000, 86400000) AND began >= :since AND began < :until
GROUP BY line, of_what, turnaround
LIMIT :most
