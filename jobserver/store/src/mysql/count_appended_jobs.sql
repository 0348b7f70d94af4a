UPDATE batches
SET jobs = jobs + :jobs, records = records + :records
WHERE id = :batch AND state = 'receiving'
