SELECT job_records.id, job_records.data, job_results.result, job_results.error
FROM job_records
LEFT JOIN job_results ON job_results.job_record_id = job_records.id
WHERE job_records.id >= :first_record AND job_records.id < :first_record + :records
ORDER BY job_records.id
