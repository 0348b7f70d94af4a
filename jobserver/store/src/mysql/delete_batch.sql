DELETE FROM batches
WHERE id = :batch AND state = 'abandoned'
