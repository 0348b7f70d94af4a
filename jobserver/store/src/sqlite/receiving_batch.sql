-- What a job takes from the batch it is appended to.
SELECT batches.jobs, json_array_length(batches.columns) AS columns, lanes.id AS lane
FROM batches
JOIN lanes ON lanes.batch_id = batches.id
WHERE batches.id = :batch AND batches.state = 'receiving'
