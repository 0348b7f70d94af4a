-- ON DUPLICATE KEY UPDATE is ON CONFLICT in SQLite.
INSERT INTO job_samples (plugin, records, work_ms)
VALUES (:plugin, :records, :work_ms)
ON DUPLICATE KEY UPDATE records = :records, work_ms = :work_ms
