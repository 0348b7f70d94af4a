-- The same for a table that has no further columns: one row for each server. The number is a value and no variable, which would be another one on
-- a replica of a primary that logs statements.
INSERT INTO {heartbeat} (ts, server_id) VALUES (:ts, :server_id)
ON DUPLICATE KEY UPDATE ts = :ts
