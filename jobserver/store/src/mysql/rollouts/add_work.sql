-- SQLite's add_work.sql for many rows, from one JSON array.
INSERT INTO rollout_work (`release`, worker, plugin, jobs, records, errors, work_ms, failures)
SELECT counted.`release`, counted.worker, counted.plugin, counted.jobs, counted.records, counted.errors, counted.work_ms,
       counted.failures
FROM JSON_TABLE(:rows, '$[*]' COLUMNS (
    `release` VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[0]',
    worker    VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[1]',
    plugin    VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[2]',
    jobs      BIGINT                                                 PATH '$[3]',
    records   BIGINT                                                 PATH '$[4]',
    errors    BIGINT                                                 PATH '$[5]',
    work_ms   BIGINT                                                 PATH '$[6]',
    failures  BIGINT                                                 PATH '$[7]'
)) AS counted
ON DUPLICATE KEY UPDATE
    jobs     = rollout_work.jobs + counted.jobs,
    records  = rollout_work.records + counted.records,
    errors   = rollout_work.errors + counted.errors,
    work_ms  = rollout_work.work_ms + counted.work_ms,
    failures = rollout_work.failures + counted.failures
