UPDATE batches
SET state = 'abandoned'
WHERE id = :batch AND state = 'receiving'
