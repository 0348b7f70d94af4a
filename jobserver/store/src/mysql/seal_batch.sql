-- One row makes all jobs of the batch claimable: they are stored as waiting. SQLite has seal_jobs.sql for them.
UPDATE batches
SET state = 'open'
WHERE id = :batch AND state = 'receiving'
