INSERT INTO job_types (plugin, records, work_ms, accepted_at)
VALUES (:plugin, :records, :work_ms, :accepted_at)
ON CONFLICT (plugin) DO UPDATE SET records = :records, work_ms = :work_ms, accepted_at = :accepted_at
