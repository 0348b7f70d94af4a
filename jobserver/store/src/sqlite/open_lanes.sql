-- The lanes jobs may go out from.
SELECT lanes.id, lanes.batch_id, lanes.plugin, lanes.priority, lanes.requirements,
       batches.suspended IS NOT NULL AS suspended
FROM batches
JOIN lanes ON lanes.batch_id = batches.id
WHERE batches.state = 'open'
