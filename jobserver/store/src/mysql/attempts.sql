-- Attempts that verbs need, locked until the commit: another server changes none of them meanwhile. SQLite reads one at a
-- time (attempt.sql) and leaves out those of batches that are being removed; here that is seen at their jobs (jobs.rs is
-- told of none). The parenthesis is repeated; without the hint a small table would be read, and locked, as a whole.
SELECT id, job_id, secret, worker, revision, `release`, release_commit, state, reason, lease_ms, lease_until, records_done,
       work_ms, data_primary, data_gtid, started_at, ended_at
FROM attempts FORCE INDEX (PRIMARY)
WHERE id IN (?)
FOR UPDATE
