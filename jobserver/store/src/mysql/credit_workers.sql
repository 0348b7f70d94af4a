-- What workers did, as differences: other servers credit them too. Written as jobs are (write_jobs.sql), and of one table:
-- what is updated in a join is written to a file first. A value out of a list is text, so it is cast. SQLite writes one at
-- a time (credit_worker.sql).
UPDATE workers FORCE INDEX (PRIMARY)
SET
    last_seen = greatest(last_seen, CAST(? AS SIGNED)),
    jobs_done = jobs_done + CAST(? AS SIGNED),
    records_done = records_done + CAST(? AS SIGNED)
WHERE worker IN (?)
