-- An attempt as a group of verbs left it. What it began with never changes.
UPDATE attempts
SET state          = :state,
    reason         = :reason,
    release        = :release,
    release_commit = :commit,
    lease_until    = :lease_until,
    records_done   = :records_done,
    work_ms        = :work_ms,
    data_primary   = :data_primary,
    data_gtid      = :data_gtid,
    ended_at       = :ended_at
WHERE id = :attempt
