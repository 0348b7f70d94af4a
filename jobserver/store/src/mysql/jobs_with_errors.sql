SELECT jobs.seq
FROM jobs
WHERE jobs.batch_id = :batch AND jobs.seq >= :from AND jobs.seq < :to
  AND EXISTS (SELECT 1
              FROM job_records
              JOIN job_results ON job_results.job_record_id = job_records.id
              WHERE job_records.job_id = jobs.id AND job_results.error IS NOT NULL)
ORDER BY jobs.seq
