-- SQLite reads one at a time (job_type.sql). The parenthesis is repeated. Both tables have a row for each plugin at most.
SELECT names.plugin, coalesce(job_types.records, 0) AS records, coalesce(job_types.work_ms, 0) AS work_ms,
       coalesce(job_types.accepted_at, 0) AS accepted_at, coalesce(job_samples.records, 0) AS sampled_records,
       coalesce(job_samples.work_ms, 0) AS sampled_ms
FROM (SELECT plugin FROM job_types UNION SELECT plugin FROM job_samples) AS names
     LEFT JOIN job_types ON job_types.plugin = names.plugin
     LEFT JOIN job_samples ON job_samples.plugin = names.plugin
WHERE names.plugin IN (?)
