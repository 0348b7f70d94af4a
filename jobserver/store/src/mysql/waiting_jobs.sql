-- The next jobs of a lane for the queue; jobs_waiting (lane_id, state, seq) has them in order.
SELECT id, seq, not_before
FROM jobs FORCE INDEX (jobs_waiting)
WHERE lane_id = :lane AND state = 'waiting' AND seq >= :from
ORDER BY seq
LIMIT :limit
