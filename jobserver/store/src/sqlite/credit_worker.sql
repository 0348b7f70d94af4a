-- Of a worker whose jobs come and go nothing else changes.
UPDATE workers
SET last_seen = :last_seen, jobs_done = :jobs_done, records_done = :records_done
WHERE worker = :worker
