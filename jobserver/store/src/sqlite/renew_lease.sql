-- Also of a lost attempt that takes its job up again.
UPDATE attempts
SET state = 'running', reason = '', lease_until = :lease_until, records_done = :records_done, ended_at = NULL
WHERE id = :attempt AND state IN ('running', 'lost')
