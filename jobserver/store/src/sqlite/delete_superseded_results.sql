DELETE FROM superseded_results
WHERE job_id = :job
