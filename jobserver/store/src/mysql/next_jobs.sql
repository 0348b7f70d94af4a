-- Jobs that the queue offers, locked until the commit; those that somebody else has in hand are left to him. SQLite has
-- nobody else (job.sql). The parenthesis is repeated.
SELECT id, batch_id, seq, lane_id, state, reason, revision, first_record, records, errors, pickups, failures, losses,
       not_before, attempt_id, worker, started_at, finished_at
FROM jobs FORCE INDEX (PRIMARY)
WHERE id IN (?)
FOR UPDATE SKIP LOCKED
