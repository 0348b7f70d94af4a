-- What a job takes from the batch it is appended to.
SELECT plugin, priority, json_array_length(columns) AS columns, jobs
FROM batches
WHERE id = :batch AND state = 'receiving'
