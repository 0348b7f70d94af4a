-- Of one worker: its rows are looked up hour by hour, where all workers' rows of the time would be very many.
SELECT work_done.began - work_done.began % :per AS line,
       CASE :by WHEN 'worker' THEN work_done.worker WHEN 'plugin' THEN plugin WHEN 'release' THEN release ELSE '' END
           AS of_what,
       turnaround,
       sum(jobs) AS jobs,
       sum(records) AS records,
       sum(errors) AS errors,
       sum(work_ms) AS work_ms,
       sum(failures) AS failures,
       sum(pickups) AS pickups
FROM (SELECT 3600000 AS ms UNION ALL SELECT 86400000) AS spans
CROSS JOIN json_each(:begins) AS begins
CROSS JOIN work_done ON work_done.span_ms = spans.ms AND work_done.began = begins.value AND work_done.worker = :worker
GROUP BY line, of_what, turnaround
