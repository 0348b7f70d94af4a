-- Jobs that verbs need, locked until the commit. SQLite reads one at a time (job.sql). The parenthesis is repeated.
SELECT id, batch_id, seq, lane_id, state, reason, revision, first_record, records, errors, pickups, failures, losses,
       not_before, attempt_id, worker, started_at, finished_at
FROM jobs FORCE INDEX (PRIMARY)
WHERE id IN (?)
FOR UPDATE
