-- A batch as verbs see it.
SELECT suspended, lease_ms, max_attempts, error_rate, data_primary, data_gtid, data_noted, jobs_running, jobs_done,
       jobs_quarantined, jobs_suspended, jobs_deleted, results, errors, judged_results, judged_errors,
       coalesce(finished_at, created_at) AS counted_at
FROM batches
WHERE id = :batch AND state <> 'receiving' AND state <> 'abandoned'
