-- Asked on its own, so that a claim locks nothing of it; SQLite reads it along with the job.
SELECT records, work_ms
FROM job_types
WHERE plugin = :plugin
