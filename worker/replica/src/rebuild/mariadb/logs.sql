-- The binary logs that are left, the oldest first.
SHOW BINARY LOGS
