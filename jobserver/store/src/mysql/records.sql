SELECT id, data
FROM job_records
WHERE id >= :first_record AND id < :first_record + :records
ORDER BY id
