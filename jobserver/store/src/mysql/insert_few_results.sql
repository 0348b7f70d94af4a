-- Results of small jobs, from one JSON array; insert_results.sql is for many rows, and cheaper there. SQLite inserts one at
-- a time (insert_result.sql).
INSERT INTO job_results (job_record_id, job_id, attempt_id, result, error)
SELECT written.job_record_id, written.job_id, written.attempt_id, written.result, written.error
FROM JSON_TABLE(:rows, '$[*]' COLUMNS (
    job_record_id BIGINT                                               PATH '$[0]',
    job_id        BIGINT                                               PATH '$[1]',
    attempt_id    BIGINT                                               PATH '$[2]',
    result        MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[3]',
    error         MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[4]'
)) AS written
