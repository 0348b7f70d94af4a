-- What became of a batch, when a commit was cut off.
SELECT state
FROM batches
WHERE id = :batch
