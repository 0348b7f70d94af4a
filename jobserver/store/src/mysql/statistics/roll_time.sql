-- As in roll_hour.sql.
INSERT INTO worker_time (span_ms, began, state, reason, worker_minutes, minutes)
SELECT 86400000, hours.began - hours.began % 86400000, hours.state, hours.reason, hours.worker_minutes, hours.minutes
FROM (SELECT began, state, reason, worker_minutes, minutes
      FROM worker_time
      WHERE span_ms = 3600000 AND began = :hour) AS hours
ON DUPLICATE KEY UPDATE
    worker_minutes = worker_time.worker_minutes + hours.worker_minutes,
    minutes        = worker_time.minutes + hours.minutes
