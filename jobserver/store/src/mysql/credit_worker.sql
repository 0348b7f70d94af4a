-- The worker was seen before (see_worker.sql); SQLite does both in one statement.
UPDATE workers
SET jobs_done = jobs_done + 1, records_done = records_done + :records
WHERE worker = :worker
