-- Jobs as a group of verbs left them, from one JSON array: the only statement that changes where a job stands. All of them
-- were read and locked in this transaction. SQLite writes one at a time (write_job.sql, move_to_lane.sql). The array's
-- table comes first, or a small table of jobs would be read, and locked, as a whole. Its texts name their character set:
-- on MariaDB they would have the schema's otherwise.
UPDATE JSON_TABLE(:rows, '$[*]' COLUMNS (
    id          BIGINT                                                 PATH '$[0]',
    lane_id     BIGINT                                                 PATH '$[1]',
    state       VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin  PATH '$[2]',
    reason      MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin   PATH '$[3]',
    revision    BIGINT                                                 PATH '$[4]',
    errors      BIGINT                                                 PATH '$[5]',
    pickups     BIGINT                                                 PATH '$[6]',
    failures    BIGINT                                                 PATH '$[7]',
    losses      BIGINT                                                 PATH '$[8]',
    not_before  BIGINT                                                 PATH '$[9]',
    attempt_id  BIGINT                                                 PATH '$[10]',
    worker      VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[11]',
    started_at  BIGINT                                                 PATH '$[12]',
    finished_at BIGINT                                                 PATH '$[13]'
)) AS written
STRAIGHT_JOIN jobs FORCE INDEX (PRIMARY) ON jobs.id = written.id
SET jobs.lane_id     = written.lane_id,
    jobs.state       = written.state,
    jobs.reason      = written.reason,
    jobs.revision    = written.revision,
    jobs.errors      = written.errors,
    jobs.pickups     = written.pickups,
    jobs.failures    = written.failures,
    jobs.losses      = written.losses,
    jobs.not_before  = written.not_before,
    jobs.attempt_id  = written.attempt_id,
    jobs.worker      = written.worker,
    jobs.started_at  = written.started_at,
    jobs.finished_at = written.finished_at
