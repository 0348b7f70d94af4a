SELECT records, work_ms
FROM job_types
WHERE plugin = :plugin
