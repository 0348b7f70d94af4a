-- ON DUPLICATE KEY UPDATE is SQLite's ON CONFLICT; greatest its two-argument max.
INSERT INTO workers (worker, host, state, reason, `release`, refused, steps, replica, spool_jobs, spool_bytes, address, first_seen, last_seen)
VALUES (:worker, :host, :state, :reason, :release, :refused, :steps, :replica, :spool_jobs, :spool_bytes, :address, :now, :now)
ON DUPLICATE KEY UPDATE
    host      = :host,
    state     = :state,
    reason    = :reason,
    `release` = :release,
    refused   = :refused,
    steps     = :steps,
    replica   = :replica,
    spool_jobs = :spool_jobs,
    spool_bytes = :spool_bytes,
    address   = :address,
    last_seen = greatest(last_seen, :now)
