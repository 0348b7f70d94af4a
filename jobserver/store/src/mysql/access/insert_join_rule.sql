-- INSERT IGNORE is SQLite's ON CONFLICT DO NOTHING; what a row must obey is checked before.
INSERT IGNORE INTO join_rules (name, network, join_limit, approved, expires_at, created_at, created_by)
VALUES (:name, :network, :limit, 0, :expires_at, :now, :by)
