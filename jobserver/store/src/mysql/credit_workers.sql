-- What workers did, as differences, from one JSON array: other servers credit them too. SQLite writes one at a time
-- (credit_worker.sql).
UPDATE JSON_TABLE(:rows, '$[*]' COLUMNS (
    worker       VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$[0]',
    last_seen    BIGINT                                                 PATH '$[1]',
    jobs_done    BIGINT                                                 PATH '$[2]',
    records_done BIGINT                                                 PATH '$[3]'
)) AS written
STRAIGHT_JOIN workers FORCE INDEX (PRIMARY) ON workers.worker = written.worker
SET workers.last_seen    = greatest(workers.last_seen, written.last_seen),
    workers.jobs_done    = workers.jobs_done + written.jobs_done,
    workers.records_done = workers.records_done + written.records_done
