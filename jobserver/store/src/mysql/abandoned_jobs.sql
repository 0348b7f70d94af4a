-- Some jobs of a batch that is being removed; its removal goes in small steps so that nobody waits for it. Locked, so that
-- whoever has one in hand is waited for.
SELECT jobs.id, jobs.first_record, jobs.records
FROM jobs
JOIN batches ON batches.id = jobs.batch_id
WHERE jobs.batch_id = :batch AND batches.state = 'abandoned'
ORDER BY jobs.seq
LIMIT :limit
FOR UPDATE
