-- Many records of a job in one statement: rows.rs repeats the row. SQLite takes them from one JSON array; here a
-- packet has a limit, and plain rows are the fastest on both servers.
INSERT INTO job_records (id, job_id, data)
VALUES
(?, ?, ?)
