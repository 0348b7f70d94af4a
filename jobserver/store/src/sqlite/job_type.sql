SELECT coalesce(job_types.records, 0) AS records, coalesce(job_types.work_ms, 0) AS work_ms,
       coalesce(job_types.accepted_at, 0) AS accepted_at, coalesce(job_samples.records, 0) AS sampled_records,
       coalesce(job_samples.work_ms, 0) AS sampled_ms
FROM (SELECT :plugin AS plugin) AS asked
     LEFT JOIN job_types ON job_types.plugin = asked.plugin
     LEFT JOIN job_samples ON job_samples.plugin = asked.plugin
