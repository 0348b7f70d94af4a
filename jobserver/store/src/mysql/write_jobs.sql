-- Jobs as a group of verbs left them: the only statement that changes where a job stands. All of them were read and locked
-- in this transaction, so that each is there and is changed; what a job begins with never changes. Many in one statement,
-- which costs less here than a join with a table of JSON; SQLite writes one at a time (write_job.sql, move_to_lane.sql).
INSERT INTO jobs (id, batch_id, seq, first_record, records, lane_id, state, reason, revision, errors, pickups, failures,
                  losses, not_before, attempt_id, worker, started_at, finished_at)
VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE
    lane_id     = VALUES(lane_id),
    state       = VALUES(state),
    reason      = VALUES(reason),
    revision    = VALUES(revision),
    errors      = VALUES(errors),
    pickups     = VALUES(pickups),
    failures    = VALUES(failures),
    losses      = VALUES(losses),
    not_before  = VALUES(not_before),
    attempt_id  = VALUES(attempt_id),
    worker      = VALUES(worker),
    started_at  = VALUES(started_at),
    finished_at = VALUES(finished_at)
