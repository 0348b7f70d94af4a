-- As credit_workers.sql, of workers that were not read but are remembered (given.rs): what they failed at before has to be
-- forgotten by who credits them.
UPDATE workers FORCE INDEX (PRIMARY)
SET
    last_seen = greatest(last_seen, CAST(? AS SIGNED)),
    jobs_done = jobs_done + CAST(? AS SIGNED),
    records_done = records_done + CAST(? AS SIGNED)
WHERE worker IN (?) AND failures_in_row = 0
