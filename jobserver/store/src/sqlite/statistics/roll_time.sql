INSERT INTO worker_time (span_ms, began, state, reason, worker_minutes, minutes)
SELECT 86400000, began - began % 86400000, state, reason, worker_minutes, minutes
FROM worker_time
WHERE span_ms = 3600000 AND began = :hour
ON CONFLICT (span_ms, began, state, reason) DO UPDATE
SET worker_minutes = worker_minutes + excluded.worker_minutes,
    minutes        = minutes + excluded.minutes
