-- What a job takes from the batch it is appended to. Locked: its count of jobs is the place of the next one.
SELECT batches.jobs, JSON_LENGTH(batches.columns) AS columns, lanes.id AS lane
FROM batches
JOIN lanes ON lanes.batch_id = batches.id
WHERE batches.id = :batch AND batches.state = 'receiving'
FOR UPDATE
