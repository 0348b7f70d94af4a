SELECT began - began % :per AS line,
       CASE :by WHEN 'worker' THEN worker WHEN 'plugin' THEN plugin WHEN 'release' THEN release ELSE '' END
           AS of_what,
       turnaround,
       sum(jobs) AS jobs,
       sum(records) AS records,
       sum(errors) AS errors,
       sum(work_ms) AS work_ms,
       sum(failures) AS failures,
       sum(pickups) AS pickups
FROM work_done
WHERE span_ms IN (3600000, 86400000) AND began >= :since AND began < :until
GROUP BY line, of_what, turnaround
LIMIT :most
