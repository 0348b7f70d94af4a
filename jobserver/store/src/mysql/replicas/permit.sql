-- ON DUPLICATE KEY UPDATE is SQLite's ON CONFLICT.
INSERT INTO rebuilds (worker, reason, started_at, until) VALUES (:worker, :reason, :now, :until)
ON DUPLICATE KEY UPDATE reason = :reason, until = :until
