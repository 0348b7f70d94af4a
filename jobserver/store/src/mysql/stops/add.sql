-- MySQL has no ON CONFLICT; values are named twice, because VALUES() is deprecated there and its successor unknown to MariaDB.
INSERT INTO stops (scope, reason, stopped_by, stopped_at) VALUES (:scope, :reason, :by, :now)
ON DUPLICATE KEY UPDATE reason = :reason, stopped_by = :by, stopped_at = :now
