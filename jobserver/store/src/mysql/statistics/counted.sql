-- The row is locked: another server that counts, or makes days of hours, waits.
SELECT minute FROM worker_time_counted WHERE id = 1 FOR UPDATE
