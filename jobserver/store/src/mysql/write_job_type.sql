-- ON DUPLICATE KEY UPDATE is ON CONFLICT in SQLite.
INSERT INTO job_types (plugin, records, work_ms, accepted_at)
VALUES (:plugin, :records, :work_ms, :accepted_at)
ON DUPLICATE KEY UPDATE records = :records, work_ms = :work_ms, accepted_at = greatest(accepted_at, :accepted_at)
