-- As write_attempts.sql, of attempts that were not read but are remembered (given.rs): only of such as run still. Whoever
-- changes anything about a job that has to do with results ends the attempt that runs at it, in the same transaction.
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
WHERE id IN (?) AND state = 'running'
