-- A job whose batch is still being handed in is shown as what it is.
SELECT jobs.id, CASE WHEN batches.state = 'receiving' THEN 'receiving' ELSE jobs.state END AS state, jobs.reason,
       jobs.first_record, jobs.records
FROM jobs
JOIN batches ON batches.id = jobs.batch_id
WHERE jobs.batch_id = :batch AND jobs.seq = :seq
