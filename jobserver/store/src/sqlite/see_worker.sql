-- A worker asked for something; one that has not reported about itself yet is known by its name alone.
INSERT INTO workers (worker, host, state, reason, release, refused, steps, address, first_seen, last_seen)
VALUES (:worker, '', 'working', 'it has not reported about itself yet', '', '[]', '[]', '', :now, :now)
ON CONFLICT (worker) DO UPDATE
SET last_seen = max(last_seen, :now)
