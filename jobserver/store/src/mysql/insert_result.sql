-- Many results in one statement: rows.rs repeats the last line. SQLite is as fast with one at a time.
INSERT INTO job_results (job_record_id, job_id, attempt_id, result, error)
VALUES
(?, ?, ?, ?, ?)
