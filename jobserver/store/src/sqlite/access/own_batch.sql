INSERT INTO batch_owners (batch_id, owner)
VALUES (:batch, :owner)
ON CONFLICT (batch_id) DO NOTHING
