-- A worker asked for something.
UPDATE workers
SET last_seen = max(last_seen, :now)
WHERE worker = :worker
