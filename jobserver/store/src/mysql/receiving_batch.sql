-- What a job takes from the batch it is appended to. Locked: its count of jobs is the place of the next one.
SELECT plugin, priority, JSON_LENGTH(columns) AS columns, jobs
FROM batches
WHERE id = :batch AND state = 'receiving'
FOR UPDATE
