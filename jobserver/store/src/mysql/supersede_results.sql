-- The job is retried: its results are kept, with their attempt, but are not its results any more.
INSERT INTO superseded_results (job_record_id, job_id, attempt_id, result, error)
SELECT job_record_id, job_id, attempt_id, result, error
FROM job_results
WHERE job_record_id >= :first_record AND job_record_id < :first_record + :records
