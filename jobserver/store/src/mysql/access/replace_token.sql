UPDATE tokens
SET hash       = :hash,
    network    = :network,
    join_limit = :limit,
    uses       = 0,
    created_at = :now,
    created_by = :by,
    expires_at = :expires_at,
    revoked_at = NULL,
    last_used  = NULL,
    changed    = (SELECT number FROM access_changes)
WHERE name = :name
