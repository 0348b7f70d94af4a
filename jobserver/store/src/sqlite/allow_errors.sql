-- How many of its results may be errors from now on. By itself: whoever suspends it meanwhile may have read the rate before.
UPDATE batches
SET error_rate = :error_rate
WHERE id = :batch
