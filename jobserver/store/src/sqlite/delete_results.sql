DELETE FROM job_results
WHERE job_record_id >= :first_record AND job_record_id < :first_record + :records
