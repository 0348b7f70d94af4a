SELECT count(*) FROM job_records
