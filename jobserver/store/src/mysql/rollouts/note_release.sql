-- ON DUPLICATE KEY UPDATE is SQLite's ON CONFLICT.
INSERT INTO rollouts (`release`, tag_id, settings, noted_at) VALUES (:release, :tag_id, :settings, :now)
ON DUPLICATE KEY UPDATE tag_id = :tag_id, settings = :settings, noted_at = :now
