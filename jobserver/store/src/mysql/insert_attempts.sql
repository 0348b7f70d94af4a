-- New attempts, under numbers that were taken before (numbers). Many in one statement; SQLite inserts one at a time
-- (insert_attempt.sql).
INSERT INTO attempts (id, job_id, secret, worker, revision, lease_ms, started_at, `release`, release_commit, state, reason,
                      lease_until, records_done, work_ms, data_primary, data_gtid, ended_at)
VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
