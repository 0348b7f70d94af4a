-- As write_attempts.sql, of attempts that were not read but are remembered (given.rs): only of such as run still. While they
-- do, nothing changes in them or their jobs that has to do with results, and the jobs are locked with them.
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
