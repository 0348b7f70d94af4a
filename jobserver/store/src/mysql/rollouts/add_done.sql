-- SQLite's add_done.sql for many rows, from one JSON array.
INSERT INTO work_done
    (span_ms, began, worker, `release`, plugin, turnaround, jobs, records, errors, work_ms, failures, pickups)
SELECT 3600000, counted.began, counted.worker, counted.`release`, counted.plugin, counted.turnaround, counted.jobs,
       counted.records, counted.errors, counted.work_ms, counted.failures, counted.pickups
FROM JSON_TABLE(:rows, '$[*]' COLUMNS (
    began      BIGINT                                                 PATH '$[0]',
    worker     VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[1]',
    `release`  VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[2]',
    plugin     VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[3]',
    turnaround BIGINT                                                 PATH '$[4]',
    jobs       BIGINT                                                 PATH '$[5]',
    records    BIGINT                                                 PATH '$[6]',
    errors     BIGINT                                                 PATH '$[7]',
    work_ms    BIGINT                                                 PATH '$[8]',
    failures   BIGINT                                                 PATH '$[9]',
    pickups    BIGINT                                                 PATH '$[10]'
)) AS counted
ON DUPLICATE KEY UPDATE
    jobs     = work_done.jobs + counted.jobs,
    records  = work_done.records + counted.records,
    errors   = work_done.errors + counted.errors,
    work_ms  = work_done.work_ms + counted.work_ms,
    failures = work_done.failures + counted.failures,
    pickups  = work_done.pickups + counted.pickups
