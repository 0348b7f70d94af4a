-- SQLite's add_hours.sql for many rows, from one JSON array.
INSERT INTO hours_of_work (hour, plugin, jobs, records, errors, work_ms, failures)
SELECT counted.hour, counted.plugin, counted.jobs, counted.records, counted.errors, counted.work_ms, counted.failures
FROM JSON_TABLE(:rows, '$[*]' COLUMNS (
    hour     BIGINT                                                 PATH '$[0]',
    plugin   VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[1]',
    jobs     BIGINT                                                 PATH '$[2]',
    records  BIGINT                                                 PATH '$[3]',
    errors   BIGINT                                                 PATH '$[4]',
    work_ms  BIGINT                                                 PATH '$[5]',
    failures BIGINT                                                 PATH '$[6]'
)) AS counted
ON DUPLICATE KEY UPDATE
    jobs     = hours_of_work.jobs + counted.jobs,
    records  = hours_of_work.records + counted.records,
    errors   = hours_of_work.errors + counted.errors,
    work_ms  = hours_of_work.work_ms + counted.work_ms,
    failures = hours_of_work.failures + counted.failures
