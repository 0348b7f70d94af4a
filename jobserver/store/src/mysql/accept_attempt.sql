UPDATE attempts
SET state          = 'accepted',
    reason         = '',
    `release`      = :release,
    release_commit = :commit,
    work_ms        = :work_ms,
    records_done   = :records,
    lease_until    = NULL,
    ended_at       = :now
WHERE id = :attempt AND state = :from
