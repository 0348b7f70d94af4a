INSERT INTO job_results (job_record_id, job_id, attempt_id, result, error)
VALUES (:record, :job, :attempt, :result, :error)
