-- New attempts, from one JSON array, under numbers that were taken before (numbers). SQLite inserts one at a time
-- (insert_attempt.sql).
INSERT INTO attempts (id, job_id, secret, worker, revision, `release`, release_commit, state, reason, lease_ms, lease_until,
                      records_done, work_ms, started_at, ended_at)
SELECT written.id, written.job_id, written.secret, written.worker, written.revision, written.release,
       written.release_commit, written.state, written.reason, written.lease_ms, written.lease_until,
       written.records_done, written.work_ms, written.started_at, written.ended_at
FROM JSON_TABLE(:rows, '$[*]' COLUMNS (
    id             BIGINT                                                 PATH '$[0]',
    job_id         BIGINT                                                 PATH '$[1]',
    secret         VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin  PATH '$[2]',
    worker         VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[3]',
    revision       BIGINT                                                 PATH '$[4]',
    `release`      MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin   PATH '$[5]',
    release_commit MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin   PATH '$[6]',
    state          VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin  PATH '$[7]',
    reason         MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin   PATH '$[8]',
    lease_ms       BIGINT                                                 PATH '$[9]',
    lease_until    BIGINT                                                 PATH '$[10]',
    records_done   BIGINT                                                 PATH '$[11]',
    work_ms        BIGINT                                                 PATH '$[12]',
    started_at     BIGINT                                                 PATH '$[13]',
    ended_at       BIGINT                                                 PATH '$[14]'
)) AS written
