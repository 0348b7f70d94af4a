-- ON DUPLICATE KEY UPDATE is ON CONFLICT in SQLite. Of two servers the one that commits last tells the moment, which may be
-- some milliseconds earlier; the greatest of both would stay that of a clock that went back.
INSERT INTO job_types (plugin, records, work_ms, accepted_at)
VALUES (:plugin, :records, :work_ms, :accepted_at)
ON DUPLICATE KEY UPDATE records = :records, work_ms = :work_ms, accepted_at = :accepted_at
