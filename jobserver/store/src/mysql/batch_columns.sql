SELECT columns
FROM batches
WHERE id = :batch
