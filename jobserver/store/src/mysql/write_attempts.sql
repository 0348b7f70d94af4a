-- Attempts as a group of verbs left them, from one JSON array; what they began with never changes. SQLite writes one at a
-- time (write_attempt.sql).
UPDATE JSON_TABLE(:rows, '$[*]' COLUMNS (
    id             BIGINT                                                PATH '$[0]',
    state          VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[1]',
    reason         MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin  PATH '$[2]',
    `release`      MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin  PATH '$[3]',
    release_commit MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin  PATH '$[4]',
    lease_until    BIGINT                                                PATH '$[5]',
    records_done   BIGINT                                                PATH '$[6]',
    work_ms        BIGINT                                                PATH '$[7]',
    ended_at       BIGINT                                                PATH '$[8]'
)) AS written
STRAIGHT_JOIN attempts FORCE INDEX (PRIMARY) ON attempts.id = written.id
SET attempts.state          = written.state,
    attempts.reason         = written.reason,
    attempts.release        = written.release,
    attempts.release_commit = written.release_commit,
    attempts.lease_until    = written.lease_until,
    attempts.records_done   = written.records_done,
    attempts.work_ms        = written.work_ms,
    attempts.ended_at       = written.ended_at
