SELECT id, state, reason, first_record, records
FROM jobs
WHERE batch_id = :batch AND seq = :seq
