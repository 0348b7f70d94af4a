INSERT INTO join_rules (name, network, join_limit, approved, expires_at, created_at, created_by)
VALUES (:name, :network, :limit, 0, :expires_at, :now, :by)
ON CONFLICT (name) DO NOTHING
