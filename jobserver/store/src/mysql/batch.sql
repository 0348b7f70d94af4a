SELECT id, name, plugin, state, suspended, priority, requirements, data_primary, data_gtid, data_noted, columns, outputs,
       error_rate, records, results, errors, jobs, jobs_done, jobs_running, jobs_quarantined, jobs_suspended, jobs_deleted,
       created_at, finished_at
FROM batches
WHERE id = :batch AND state <> 'abandoned'
