-- A job as people see it.
SELECT jobs.id, jobs.batch_id, jobs.seq, lanes.plugin, lanes.priority, lanes.requirements, jobs.revision, jobs.state,
       jobs.reason, jobs.records, jobs.pickups, jobs.failures, jobs.losses, jobs.not_before, jobs.worker, jobs.started_at,
       jobs.finished_at
FROM jobs
JOIN lanes ON lanes.id = jobs.lane_id
JOIN batches ON batches.id = jobs.batch_id
WHERE jobs.id = :job AND batches.state <> 'abandoned'
