UPDATE tokens
SET revoked_at = :now,
    changed    = (SELECT number FROM access_changes)
WHERE name = :name AND revoked_at IS NULL
