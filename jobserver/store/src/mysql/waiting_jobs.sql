-- The next jobs of a lane for the queue. SQLite asks for their state and has an index of those that wait; here
-- waiting_lane is NULL of all others.
SELECT id, seq, not_before
FROM jobs FORCE INDEX (jobs_waiting)
WHERE waiting_lane = :lane AND seq >= :from
ORDER BY seq
LIMIT :limit
