SELECT id, name, plugin, state, priority, columns, outputs, records, results, errors, jobs, jobs_done, jobs_running,
       jobs_quarantined, created_at, finished_at
FROM batches
WHERE id = :batch AND state <> 'abandoned'
