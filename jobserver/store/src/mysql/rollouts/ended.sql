-- Attempts that ended, each looked up once: what they are counted by is added up by the store (statistics.rs).
-- A job that was retried since keeps no count of the errors it had then. What is asked of other attempts at the job is most
-- often known without looking: there was one. The order of tables is given, because no server guesses how short the list is.
SELECT attempts.`release`, attempts.worker, lanes.plugin, attempts.state = 'accepted' AS accepted, jobs.records,
       if(attempts.state = 'accepted' AND jobs.attempt_id = attempts.id, jobs.errors, 0) AS errors,
       coalesce(attempts.work_ms, 0) AS work_ms,
       if(jobs.pickups = 1, 1, (SELECT count(*) FROM attempts AS tries
                                WHERE tries.job_id = jobs.id AND tries.revision = attempts.revision)) AS pickups,
       if(jobs.pickups = 1, attempts.started_at, (SELECT min(tries.started_at) FROM attempts AS tries
                                                  WHERE tries.job_id = jobs.id AND tries.revision = attempts.revision))
           AS picked_up,
       attempts.ended_at
FROM JSON_TABLE(:attempts, '$[*]' COLUMNS (id BIGINT PATH '$')) AS counted
STRAIGHT_JOIN attempts FORCE INDEX (PRIMARY) ON attempts.id = counted.id
STRAIGHT_JOIN jobs FORCE INDEX (PRIMARY) ON jobs.id = attempts.job_id
STRAIGHT_JOIN lanes FORCE INDEX (PRIMARY) ON lanes.id = jobs.lane_id
WHERE attempts.state IN ('accepted', 'given_back')
