INSERT INTO worker_time (span_ms, began, state, reason, worker_minutes, minutes)
VALUES (3600000, :hour, :state, :reason, :worker_minutes, :minutes)
ON CONFLICT (span_ms, began, state, reason) DO UPDATE
SET worker_minutes = worker_minutes + excluded.worker_minutes,
    minutes        = minutes + excluded.minutes
