-- Suspended with a reason, or (NULL) resumed, perhaps with more errors allowed than before.
UPDATE batches
SET suspended = :reason, error_rate = :error_rate
WHERE id = :batch
