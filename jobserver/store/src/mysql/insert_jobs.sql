-- Many jobs in one statement: rows.rs repeats the row. They wait from the beginning; nobody finds them before their
-- batch is open. SQLite inserts one at a time (insert_job.sql).
INSERT INTO jobs (id, batch_id, seq, lane_id, state, first_record, records)
VALUES
(?, ?, ?, ?, 'waiting', ?, ?)
