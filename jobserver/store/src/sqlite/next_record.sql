-- The number of the next record. Numbers are never used again, so the sequence counts, not the table.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'job_records'), 0) + 1
