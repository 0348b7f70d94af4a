SELECT records, work_ms, accepted_at
FROM job_types
WHERE plugin = :plugin
