-- The job a record was stored for, when a commit was cut off.
SELECT job_id
FROM job_records
WHERE id = :record
