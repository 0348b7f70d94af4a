-- Attempts that ended, each looked up once: what they are counted by is added up by the store (statistics.rs).
-- A job that was retried since keeps no count of the errors it had then. What is asked of other attempts at the job is most
-- often known without looking: there was one.
SELECT attempts.release, attempts.worker, lanes.plugin, attempts.state = 'accepted' AS accepted, jobs.records,
       iif(attempts.state = 'accepted' AND jobs.attempt_id = attempts.id, jobs.errors, 0) AS errors,
       coalesce(attempts.work_ms, 0) AS work_ms,
       iif(jobs.pickups = 1, 1, (SELECT count(*) FROM attempts AS tries
                                 WHERE tries.job_id = jobs.id AND tries.revision = attempts.revision)) AS pickups,
       iif(jobs.pickups = 1, attempts.started_at, (SELECT min(tries.started_at) FROM attempts AS tries
                                                   WHERE tries.job_id = jobs.id AND tries.revision = attempts.revision))
           AS picked_up,
       attempts.ended_at
FROM json_each(:attempts) AS counted
JOIN attempts ON attempts.id = counted.value
JOIN jobs ON jobs.id = attempts.job_id
JOIN lanes ON lanes.id = jobs.lane_id
WHERE attempts.state = 'accepted' OR attempts.state = 'given_back'
