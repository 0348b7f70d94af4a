SELECT owner
FROM batch_owners
WHERE batch_id = :batch
