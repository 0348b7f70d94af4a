-- A table that is made in a query needs a name.
SELECT error, count(*) AS records
FROM (SELECT job_results.error
      FROM jobs
      JOIN job_records ON job_records.job_id = jobs.id
      JOIN job_results ON job_results.job_record_id = job_records.id
      WHERE jobs.batch_id = :batch AND jobs.errors > 0 AND job_results.error IS NOT NULL
      ORDER BY jobs.seq
      LIMIT :most) AS some
GROUP BY error
ORDER BY records DESC, error
LIMIT 50
