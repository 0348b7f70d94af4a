-- A job that was retried since keeps no count of the errors it had then. A worker may call its release anything.
INSERT INTO rollout_work (release, worker, plugin, jobs, records, errors, work_ms, failures)
SELECT attempts.release, attempts.worker, lanes.plugin,
       sum(attempts.state = 'accepted'),
       sum(iif(attempts.state = 'accepted', jobs.records, 0)),
       sum(iif(attempts.state = 'accepted' AND jobs.attempt_id = attempts.id, jobs.errors, 0)),
       sum(coalesce(attempts.work_ms, 0)),
       sum(attempts.state = 'given_back')
FROM json_each(:attempts) AS counted
JOIN attempts ON attempts.id = counted.value
JOIN jobs ON jobs.id = attempts.job_id
JOIN lanes ON lanes.id = jobs.lane_id
WHERE (attempts.state = 'accepted' OR attempts.state = 'given_back') AND attempts.release <> '' AND length(attempts.release) <= 64
GROUP BY attempts.release, attempts.worker, lanes.plugin
ON CONFLICT (release, worker, plugin) DO UPDATE
SET jobs     = jobs + excluded.jobs,
    records  = records + excluded.records,
    errors   = errors + excluded.errors,
    work_ms  = work_ms + excluded.work_ms,
    failures = failures + excluded.failures
