SELECT id, batch_id, seq, state, reason, records, pickups, failures, worker, started_at, finished_at
FROM jobs
WHERE batch_id = :batch AND seq >= :from
ORDER BY seq
LIMIT :limit
