SELECT name, network, join_limit, approved, expires_at, created_at, created_by
FROM join_rules
ORDER BY name
