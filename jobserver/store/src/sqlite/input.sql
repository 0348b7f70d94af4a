SELECT batch_id, digest, bytes, parameters, owner_key
FROM batch_inputs
WHERE batch_id = :batch
