-- A worker asked for something that has not reported about itself yet: it is known by its name alone.
INSERT INTO workers (worker, host, state, reason, release, refused, steps, address, first_seen, last_seen)
VALUES (:worker, '', 'working', 'it has not reported about itself yet', '', '[]', '[]', '', :now, :now)
