-- An edited job belongs to another lane of its batch.
UPDATE jobs
SET lane_id = :lane
WHERE id = :job
