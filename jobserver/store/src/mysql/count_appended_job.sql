-- One job; SQLite's count_appended_jobs.sql counts several that were appended in one step.
UPDATE batches
SET jobs = jobs + 1, records = records + :records
WHERE id = :batch AND state = 'receiving'
