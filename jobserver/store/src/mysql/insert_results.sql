-- Many results in one statement: rows.rs repeats the row. SQLite inserts one at a time (insert_result.sql).
INSERT INTO job_results (job_record_id, job_id, attempt_id, result, error)
VALUES
(?, ?, ?, ?, ?)
