-- Suspended with a reason, or (NULL) resumed.
UPDATE batches
SET suspended = :reason
WHERE id = :batch
