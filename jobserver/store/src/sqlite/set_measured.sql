INSERT INTO job_types (plugin, records, work_ms)
VALUES (:plugin, :records, :work_ms)
ON CONFLICT (plugin) DO UPDATE SET records = :records, work_ms = :work_ms
