-- New attempts that ended in the group of verbs that made them: a worker that claims twice at once loses the first. Many in
-- one statement; SQLite inserts one at a time (insert_attempt.sql).
INSERT INTO attempts (id, job_id, secret, worker, revision, lease_ms, started_at, `release`, release_commit, lease_until,
                      state, reason, ended_at)
VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
