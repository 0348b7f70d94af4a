-- INSERT IGNORE is SQLite's ON CONFLICT DO NOTHING.
INSERT IGNORE INTO batch_owners (batch_id, owner)
VALUES (:batch, :owner)
