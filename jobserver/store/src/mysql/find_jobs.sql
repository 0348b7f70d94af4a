-- Jobs that a filter chooses, by number; what is NULL chooses all. The numbers of a batch's jobs lie close together, so
-- its first and last bound the search. A job whose batch is still being handed in is shown as what it is.
-- Jobs that are named by number are found by find_named_jobs.sql.
SELECT jobs.id, jobs.batch_id, jobs.seq, lanes.plugin, lanes.priority, lanes.requirements, jobs.revision,
       CASE WHEN batches.state = 'receiving' THEN 'receiving' ELSE jobs.state END AS state,
       jobs.reason, jobs.records, jobs.pickups, jobs.failures, jobs.losses, jobs.not_before, jobs.worker, jobs.started_at,
       jobs.finished_at
FROM jobs FORCE INDEX (PRIMARY)
STRAIGHT_JOIN lanes ON lanes.id = jobs.lane_id
STRAIGHT_JOIN batches ON batches.id = jobs.batch_id
LEFT JOIN attempts ON attempts.id = jobs.attempt_id
WHERE jobs.id BETWEEN :from AND :to
  AND batches.state <> 'abandoned'
  AND (:batch IS NULL OR jobs.batch_id = :batch)
  AND (:state IS NULL OR CASE WHEN batches.state = 'receiving' THEN 'receiving' ELSE jobs.state END = :state)
  AND (:plugin IS NULL OR lanes.plugin = :plugin)
  AND (:worker IS NULL OR jobs.worker = :worker)
  AND (:release IS NULL OR (jobs.state = 'done' AND attempts.release = :release))
  AND (:owner IS NULL
       OR EXISTS (SELECT 1 FROM batch_owners WHERE batch_owners.batch_id = jobs.batch_id AND batch_owners.owner = :owner))
ORDER BY jobs.id
LIMIT :limit
