SELECT finished_at - finished_at % :each AS began, sum(records) AS records, sum(errors) AS errors
FROM jobs
WHERE batch_id = :batch AND state = 'done'
GROUP BY began
ORDER BY began
