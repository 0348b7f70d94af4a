-- A worker asked for something that has not reported about itself yet. Another server may meet it at the same time. SQLite
-- writes the whole row; here the rest follows (write_worker.sql).
INSERT INTO workers (worker, host, state, reason, `release`, refused, steps, address, first_seen, last_seen, jobs_done,
                     records_done)
VALUES (:worker, '', 'working', 'it has not reported about itself yet', '', '[]', '[]', '', :first_seen, :last_seen,
        :jobs_done, :records_done)
ON DUPLICATE KEY UPDATE
    last_seen    = greatest(last_seen, :last_seen),
    jobs_done    = jobs_done + :jobs_done,
    records_done = records_done + :records_done
