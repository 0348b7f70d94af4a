INSERT INTO job_samples (plugin, records, work_ms)
VALUES (:plugin, :records, :work_ms)
ON CONFLICT (plugin) DO UPDATE SET records = :records, work_ms = :work_ms
