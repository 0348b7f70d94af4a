INSERT INTO jobs (batch_id, seq, lane_id, state, first_record, records)
VALUES (:batch, :seq, :lane, 'receiving', :first_record, :records)
