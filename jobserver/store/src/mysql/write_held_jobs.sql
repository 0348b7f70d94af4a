-- As write_jobs.sql, of jobs that were not read but are remembered (given.rs), after their attempts were seen to run: only of
-- such as nobody else was given.
UPDATE jobs FORCE INDEX (PRIMARY)
SET
    lane_id = ?,
    state = ?,
    reason = ?,
    revision = ?,
    errors = ?,
    pickups = ?,
    failures = ?,
    losses = ?,
    not_before = ?,
    attempt_id = ?,
    worker = ?,
    started_at = ?,
    finished_at = ?
WHERE id IN (?) AND pickups = 1
