SELECT `release`, ring, reason, halted_at
FROM rollout_halts
WHERE `release` IN (SELECT asked.name FROM JSON_TABLE(:releases, '$[*]' COLUMNS (
    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$')) AS asked)
ORDER BY halted_at, `release`, ring
