-- Compare and set: 0 rows when another server ended the attempt first.
UPDATE attempts
SET state = :to, reason = :reason, lease_until = NULL, ended_at = :now
WHERE id = :attempt AND state = 'running'
