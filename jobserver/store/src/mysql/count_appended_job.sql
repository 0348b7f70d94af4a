UPDATE batches
SET jobs = jobs + 1, records = records + :records
WHERE id = :batch AND state = 'receiving'
