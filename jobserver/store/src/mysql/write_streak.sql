-- How a worker's last jobs went: three columns that are one fact, and are written together whoever wrote them meanwhile. SQLite
-- writes the whole row (write_worker.sql).
UPDATE workers
SET failures_in_row = :failures_in_row, failing_job = :failing_job, failing_since = :failing_since
WHERE worker = :worker
