-- The next jobs of a lane for the queue.
SELECT id, seq, not_before
FROM jobs
WHERE lane_id = :lane AND state = 'waiting' AND seq >= :from
ORDER BY seq
LIMIT :limit
