-- Attempts as a group of verbs left them, written as jobs are (write_jobs.sql): all of them were read and locked in this
-- transaction, and what they began with never changes. SQLite writes one at a time (write_attempt.sql).
UPDATE attempts FORCE INDEX (PRIMARY)
SET
    `release` = ?,
    release_commit = ?,
    state = ?,
    reason = ?,
    lease_until = ?,
    records_done = ?,
    work_ms = ?,
    data_primary = ?,
    data_gtid = ?,
    ended_at = ?
WHERE id IN (?)
