INSERT INTO tokens (name, role, hash, network, join_limit, created_at, created_by, expires_at, changed)
SELECT :name, :role, :hash, :network, :limit, :now, :by, :expires_at, number
FROM access_changes
