-- New attempts, under numbers that were taken before (numbers); they run. Many in one statement; SQLite inserts one at a time
-- (insert_attempt.sql).
INSERT INTO attempts (id, job_id, secret, worker, revision, lease_ms, started_at, `release`, release_commit, lease_until,
                      state)
VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running')
