-- Of one worker: its rows are looked up hour by hour, where all workers' rows of the time would be very many.
SELECT work_done.began - work_done.began % :per AS line,
       CASE :by WHEN 'worker' THEN work_done.worker WHEN 'plugin' THEN plugin WHEN 'release' THEN `release` ELSE '' END
           AS of_what,
       turnaround,
       CAST(sum(jobs) AS UNSIGNED) AS jobs,
       CAST(sum(records) AS UNSIGNED) AS records,
       CAST(sum(errors) AS UNSIGNED) AS errors,
       CAST(sum(work_ms) AS UNSIGNED) AS work_ms,
       CAST(sum(failures) AS UNSIGNED) AS failures,
       CAST(sum(pickups) AS UNSIGNED) AS pickups
FROM (SELECT 3600000 AS ms UNION ALL SELECT 86400000) AS spans
STRAIGHT_JOIN JSON_TABLE(:begins, '$[*]' COLUMNS (began BIGINT PATH '$')) AS begins
STRAIGHT_JOIN work_done FORCE INDEX (PRIMARY)
    ON work_done.span_ms = spans.ms AND work_done.began = begins.began AND work_done.worker = :worker
GROUP BY line, of_what, turnaround
