-- SQLite reads one at a time (job_type.sql). The parenthesis is repeated.
SELECT plugin, records, work_ms, accepted_at
FROM job_types
WHERE plugin IN (?)
