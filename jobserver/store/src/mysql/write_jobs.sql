-- Jobs as a group of verbs left them: the only statement that changes where a job stands. All of them were read and locked
-- in this transaction, so that each is there and is changed; what a job begins with never changes. The parenthesis is
-- repeated, lines of columns that do not change are left out, and where rows differ a line takes its value by the row's
-- place in the parenthesis (rows.rs). SQLite writes one at a time (write_job.sql, move_to_lane.sql).
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
WHERE id IN (?)
