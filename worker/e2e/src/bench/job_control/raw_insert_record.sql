INSERT INTO records (id, data) VALUES (?1, ?2)
