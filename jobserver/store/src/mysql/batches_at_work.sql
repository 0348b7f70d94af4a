-- Batches as verbs see them, not locked: their counters are written as differences. SQLite reads one at a time
-- (batch_at_work.sql). The parenthesis is repeated.
SELECT id, suspended, lease_ms, max_attempts, error_rate, data_primary, data_gtid, data_noted, jobs_running, jobs_done,
       jobs_quarantined, jobs_suspended, jobs_deleted, results, errors, judged_results, judged_errors,
       coalesce(finished_at, created_at) AS counted_at
FROM batches
WHERE id IN (?) AND state NOT IN ('receiving', 'abandoned')
