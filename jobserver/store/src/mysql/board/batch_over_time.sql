-- Sums are cast: MySQL's are decimals.
SELECT finished_at - finished_at % :each AS began, CAST(sum(records) AS UNSIGNED) AS records, CAST(sum(errors) AS UNSIGNED) AS errors
FROM jobs
WHERE batch_id = :batch AND state = 'done'
GROUP BY began
ORDER BY began
