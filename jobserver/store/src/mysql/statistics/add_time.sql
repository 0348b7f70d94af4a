-- ON DUPLICATE KEY UPDATE is SQLite's ON CONFLICT; VALUES() is what both makes of server know.
INSERT INTO worker_time (span_ms, began, state, reason, worker_minutes, minutes)
VALUES (3600000, :hour, :state, :reason, :worker_minutes, :minutes)
ON DUPLICATE KEY UPDATE
    worker_minutes = worker_time.worker_minutes + VALUES(worker_minutes),
    minutes        = worker_time.minutes + VALUES(minutes)
