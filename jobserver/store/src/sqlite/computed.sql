-- Counted from the results themselves: first by attempt, which is one job by one worker with one release.
SELECT attempts.release, attempts.release_commit, attempts.worker, attempts.data_primary, attempts.data_gtid,
       count(*) AS jobs, sum(counted.results) AS results, sum(counted.errors) AS errors
FROM (SELECT job_results.attempt_id, count(*) AS results, count(job_results.error) AS errors
      FROM jobs
      JOIN job_records ON job_records.job_id = jobs.id
      JOIN job_results ON job_results.job_record_id = job_records.id
      WHERE jobs.batch_id = :batch AND jobs.seq >= :from AND jobs.seq < :to
      GROUP BY job_results.attempt_id) AS counted
JOIN attempts ON attempts.id = counted.attempt_id
GROUP BY attempts.release, attempts.release_commit, attempts.worker, attempts.data_primary, attempts.data_gtid
ORDER BY attempts.release, attempts.release_commit, attempts.worker, attempts.data_primary, attempts.data_gtid
