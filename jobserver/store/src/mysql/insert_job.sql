INSERT INTO jobs (batch_id, seq, plugin, priority, state, first_record, records)
VALUES (:batch, :seq, :plugin, :priority, 'receiving', :first_record, :records)
