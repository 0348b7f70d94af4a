SELECT `release`, worker, state, samples_passed, samples_failed
FROM rollout_trials
WHERE `release` IN (SELECT asked.name FROM JSON_TABLE(:releases, '$[*]' COLUMNS (
    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$')) AS asked)
ORDER BY `release`, worker
