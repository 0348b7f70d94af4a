-- As pt-heartbeat writes it: one row for each server. The number is a value and no variable, which would be another one on
-- a replica of a primary that logs statements. Where pt-heartbeat notes files and positions, `file` has whose row it is and
-- `position` how many transactions that server had at most: one that has fewer has begun a new history. What is assigned
-- first still sees the row as it was.
INSERT INTO {heartbeat} (ts, server_id, file, position) VALUES (:ts, :server_id, :identity, :transactions)
ON DUPLICATE KEY UPDATE
    ts = :ts,
    position = IF(file = :identity, GREATEST(COALESCE(position, 0), :transactions), :transactions),
    relay_master_log_file = IF(file = :identity, relay_master_log_file, NULL),
    file = :identity
