SELECT name, role, hash, network, join_limit, uses, created_at, created_by, expires_at, revoked_at, last_used
FROM tokens
WHERE name = :name
