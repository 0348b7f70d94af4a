INSERT INTO results (record_id, result) VALUES (?1, ?2)
