DELETE FROM batch_inputs
WHERE owner_key = :key AND batch_id IN (SELECT id FROM batches WHERE state = 'abandoned')
