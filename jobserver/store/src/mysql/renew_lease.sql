-- Also of a lost attempt that takes its job up again. Compare and set: 0 rows when another server ended it meanwhile.
UPDATE attempts
SET state = 'running', reason = '', lease_until = :lease_until, records_done = :records_done, ended_at = NULL
WHERE id = :attempt AND state = :from
