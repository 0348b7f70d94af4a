-- Sums are cast: MySQL's are decimals, SQLite's whole numbers.
-- Counted from the results themselves: first by attempt, which is one job by one worker with one release.
SELECT attempts.release, attempts.release_commit, attempts.worker, attempts.data_primary, attempts.data_gtid,
       count(*) AS jobs, CAST(sum(counted.results) AS UNSIGNED) AS results,
       CAST(sum(counted.errors) AS UNSIGNED) AS errors
FROM (SELECT job_results.attempt_id, count(*) AS results, count(job_results.error) AS errors
      FROM jobs
      JOIN job_records ON job_records.job_id = jobs.id
      JOIN job_results ON job_results.job_record_id = job_records.id
      WHERE jobs.batch_id = :batch AND jobs.seq >= :from AND jobs.seq < :to
      GROUP BY job_results.attempt_id) AS counted
JOIN attempts ON attempts.id = counted.attempt_id
GROUP BY attempts.release, attempts.release_commit, attempts.worker, attempts.data_primary, attempts.data_gtid
ORDER BY attempts.release, attempts.release_commit, attempts.worker, attempts.data_primary, attempts.data_gtid
