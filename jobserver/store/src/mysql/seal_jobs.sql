UPDATE jobs
SET state = :to
WHERE batch_id = :batch AND state = :from
