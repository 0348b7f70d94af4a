SELECT `release`, worker, plugin, jobs, records, errors, work_ms, failures
FROM rollout_work
WHERE `release` IN (SELECT asked.name FROM JSON_TABLE(:releases, '$[*]' COLUMNS (
    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$')) AS asked)
ORDER BY `release`, worker, plugin
