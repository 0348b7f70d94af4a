-- All records of a job at once, their numbers in the order of the array.
INSERT INTO job_records (id, job_id, data)
SELECT :first_record + key, :job, value
FROM json_each(:records)
