UPDATE workers
SET jobs_done = jobs_done + 1, records_done = records_done + :records, last_seen = max(last_seen, :now)
WHERE worker = :worker
