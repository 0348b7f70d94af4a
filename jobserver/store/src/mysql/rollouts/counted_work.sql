-- What SQLite counts and writes in one query (count_work.sql) is read here and written by add_work.sql: a query that
-- inserts what it selects locks the rows it reads, which are those of jobs at work. Sums are cast: MySQL's are decimals.
-- A job that was retried since keeps no count of the errors it had then. A worker may call its release anything.
SELECT attempts.release, attempts.worker, lanes.plugin,
       CAST(sum(attempts.state = 'accepted') AS UNSIGNED) AS jobs,
       CAST(sum(if(attempts.state = 'accepted', jobs.records, 0)) AS UNSIGNED) AS records,
       CAST(sum(if(attempts.state = 'accepted' AND jobs.attempt_id = attempts.id, jobs.errors, 0)) AS UNSIGNED) AS errors,
       CAST(sum(coalesce(attempts.work_ms, 0)) AS UNSIGNED) AS work_ms,
       CAST(sum(attempts.state = 'given_back') AS UNSIGNED) AS failures
FROM JSON_TABLE(:attempts, '$[*]' COLUMNS (id BIGINT PATH '$')) AS counted
STRAIGHT_JOIN attempts FORCE INDEX (PRIMARY) ON attempts.id = counted.id
STRAIGHT_JOIN jobs FORCE INDEX (PRIMARY) ON jobs.id = attempts.job_id
STRAIGHT_JOIN lanes FORCE INDEX (PRIMARY) ON lanes.id = jobs.lane_id
WHERE attempts.state IN ('accepted', 'given_back') AND attempts.release <> '' AND length(attempts.release) <= 64
GROUP BY attempts.release, attempts.worker, lanes.plugin
