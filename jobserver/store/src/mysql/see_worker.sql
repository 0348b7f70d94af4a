-- A worker asked for something; one that has not reported about itself yet is known by its name alone. In one statement,
-- because another server may meet the same worker; SQLite has see_worker.sql and meet_worker.sql.
INSERT INTO workers (worker, host, state, reason, `release`, refused, steps, address, first_seen, last_seen)
VALUES (:worker, '', 'working', 'it has not reported about itself yet', '', '[]', '[]', '', :now, :now)
ON DUPLICATE KEY UPDATE last_seen = greatest(last_seen, :now)
