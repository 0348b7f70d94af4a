SELECT batch_inputs.batch_id, batch_inputs.digest, batch_inputs.bytes, batch_inputs.parameters, batch_inputs.owner_key
FROM batch_inputs
JOIN batches ON batches.id = batch_inputs.batch_id
WHERE batch_inputs.owner_key = :key AND batches.state <> 'abandoned'
