-- Attempts as a group of verbs left them. All of them were read and locked in this transaction, so that each is there and
-- is changed; what they began with never changes. Many in one statement; SQLite writes one at a time (write_attempt.sql).
INSERT INTO attempts (id, job_id, secret, worker, revision, lease_ms, started_at, `release`, release_commit, state, reason,
                      lease_until, records_done, work_ms, ended_at)
VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE
    `release`      = VALUES(`release`),
    release_commit = VALUES(release_commit),
    state          = VALUES(state),
    reason         = VALUES(reason),
    lease_until    = VALUES(lease_until),
    records_done   = VALUES(records_done),
    work_ms        = VALUES(work_ms),
    ended_at       = VALUES(ended_at)
