-- A job as verbs see it; those of a batch that is being removed are gone.
SELECT jobs.id, jobs.batch_id, jobs.seq, jobs.lane_id, jobs.state, jobs.reason, jobs.revision, jobs.first_record,
       jobs.records, jobs.errors, jobs.pickups, jobs.failures, jobs.losses, jobs.not_before, jobs.attempt_id, jobs.worker,
       jobs.started_at, jobs.finished_at
FROM jobs
JOIN batches ON batches.id = jobs.batch_id
WHERE jobs.id = :job AND batches.state <> 'abandoned'
