UPDATE batches
SET state = 'open'
WHERE id = :batch AND state = 'receiving'
