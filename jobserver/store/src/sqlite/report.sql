INSERT INTO workers (worker, host, state, reason, release, refused, steps, address, first_seen, last_seen)
VALUES (:worker, :host, :state, :reason, :release, :refused, :steps, :address, :now, :now)
ON CONFLICT (worker) DO UPDATE
SET host      = :host,
    state     = :state,
    reason    = :reason,
    release   = :release,
    refused   = :refused,
    steps     = :steps,
    address   = :address,
    last_seen = max(last_seen, :now)
