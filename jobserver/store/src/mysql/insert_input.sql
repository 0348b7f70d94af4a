INSERT INTO batch_inputs (batch_id, owner_key, digest, bytes, parameters)
SELECT id, :key, :digest, :bytes, :parameters
FROM batches
WHERE id = :batch AND state = 'receiving'
