SELECT release, worker, plugin, jobs, records, errors, work_ms, failures
FROM rollout_work
WHERE release IN (SELECT value FROM json_each(:releases))
ORDER BY release, worker, plugin
