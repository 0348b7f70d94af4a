SELECT id, name, plugin, state, suspended, priority, requirements, data_primary, data_gtid, data_noted, columns, outputs,
       error_rate, records, results, errors, jobs, jobs_done, jobs_running, jobs_quarantined, jobs_suspended, jobs_deleted,
       created_at, finished_at
FROM batches
WHERE id < :before
  AND state <> 'abandoned'
  AND (:state IS NULL OR state = :state)
  AND (:owner IS NULL
       OR EXISTS (SELECT 1 FROM batch_owners WHERE batch_owners.batch_id = batches.id AND batch_owners.owner = :owner))
ORDER BY id DESC
LIMIT :limit
