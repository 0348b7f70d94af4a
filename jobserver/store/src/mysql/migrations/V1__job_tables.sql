-- The job tables, twin of sqlite/migrations/V1__job_tables.sql: same tables, same columns, same rules. What differs:
-- - Every statement can be run again: MySQL commits after each CREATE TABLE, so a migration that was cut off half-way is
--   simply begun anew (IF NOT EXISTS).
-- - There are no partial indexes. A unique one, and the one of waiting jobs, becomes a generated column that is NULL where
--   nobody looks; a plain one leads with, or ends with, the column that is NULL or another word there.
-- - Text that is compared is VARCHAR in a binary collation, as SQLite compares bytes; all other text is MEDIUMTEXT. JSON
--   is kept as the text it was: a JSON column would change numbers and the order of keys. A key cannot hold text of any
--   length, so requirements are compared by their digest.
-- - `release` is a reserved word and stands in backticks; behind a dot (attempts.release) it needs none.
-- - Jobs are stored as 'waiting' from the beginning: their batch is 'receiving', so nobody finds them, and its one row makes
--   all of them claimable at the end of the hand-in. Rewriting a million rows would be no step but a wait.
-- - What an index would be kept for alone is no foreign key: an index costs more than the results. One running attempt of
--   a job, and one accepted of a revision, are one rule here, so that an attempt that is accepted changes no index.
-- - An attempt that is accepted leaves one index: those that run are found by one, by their worker and by their lease.
-- - Workers are not found by the moment they were last seen by an index: it would change with every job.
-- - numbers hands out numbers before they are written, so that a step whose commit was cut off can be looked for;
--   batches.receiver is the server that takes a batch in, since several may share the store; group_commits says which of
--   its groups a server committed last, for the same reason.

SET SESSION foreign_key_checks = 0;

CREATE TABLE IF NOT EXISTS batches (
    id               BIGINT       NOT NULL PRIMARY KEY,
    name             MEDIUMTEXT   NOT NULL,
    plugin           VARCHAR(255) NOT NULL CHECK (plugin <> ''),
    -- 'abandoned': its hand-in broke off, or it was deleted, and it is being removed; nobody sees it.
    state            VARCHAR(16)  NOT NULL CHECK (state IN ('receiving', 'abandoned', 'open', 'done', 'incomplete')),
    receiver         VARCHAR(64)  NOT NULL,
    -- Why none of its jobs is handed out; NULL when they are.
    suspended        MEDIUMTEXT   CHECK (suspended <> ''),
    -- As handed in; edited jobs may have others (lanes).
    priority         BIGINT       NOT NULL,
    requirements     MEDIUMTEXT   NOT NULL CHECK (JSON_VALID(requirements)),
    columns          MEDIUMTEXT   NOT NULL CHECK (JSON_VALID(columns)),
    outputs          MEDIUMTEXT   NOT NULL CHECK (JSON_VALID(outputs)),
    lease_ms         BIGINT       NOT NULL CHECK (lease_ms > 0),
    max_attempts     BIGINT       NOT NULL CHECK (max_attempts > 0),
    -- The part of its results, in thousandths, that may be errors before the breaker suspends it; 1000 for any.
    error_rate       BIGINT       NOT NULL CHECK (error_rate BETWEEN 0 AND 1000),
    -- The position of the primary that its data must have reached; NULL when none was noted (wire's DataPosition).
    data_primary     VARCHAR(255) CHECK (data_primary <> ''),
    data_gtid        MEDIUMTEXT,
    data_noted       BIGINT,
    -- Results and errors since it was handed in or resumed: what the breaker judges by.
    judged_results   BIGINT       NOT NULL DEFAULT 0 CHECK (judged_results >= 0),
    judged_errors    BIGINT       NOT NULL DEFAULT 0,
    records          BIGINT       NOT NULL DEFAULT 0 CHECK (records >= 0),
    results          BIGINT       NOT NULL DEFAULT 0,
    errors           BIGINT       NOT NULL DEFAULT 0,
    -- Jobs, and how many are where; the rest waits.
    jobs             BIGINT       NOT NULL DEFAULT 0 CHECK (jobs >= 0),
    jobs_running     BIGINT       NOT NULL DEFAULT 0 CHECK (jobs_running >= 0),
    jobs_done        BIGINT       NOT NULL DEFAULT 0 CHECK (jobs_done >= 0),
    jobs_quarantined BIGINT       NOT NULL DEFAULT 0 CHECK (jobs_quarantined >= 0),
    jobs_suspended   BIGINT       NOT NULL DEFAULT 0 CHECK (jobs_suspended >= 0),
    jobs_deleted     BIGINT       NOT NULL DEFAULT 0 CHECK (jobs_deleted >= 0),
    created_at       BIGINT       NOT NULL,
    finished_at      BIGINT,
    INDEX batches_by_state (state),
    CHECK (judged_errors BETWEEN 0 AND judged_results),
    CHECK (results BETWEEN 0 AND records),
    CHECK (errors BETWEEN 0 AND results),
    CHECK ((data_primary IS NOT NULL) = (data_gtid IS NOT NULL)),
    CHECK ((data_primary IS NOT NULL) = (data_noted IS NOT NULL)),
    CHECK (jobs_done + jobs_running + jobs_quarantined + jobs_suspended + jobs_deleted <= jobs),
    CHECK (state <> 'done' OR (results = records AND jobs_done = jobs)),
    CHECK (state <> 'incomplete' OR (jobs_done < jobs AND jobs_done + jobs_quarantined + jobs_deleted = jobs)),
    CHECK (state <> 'open' OR jobs_done + jobs_quarantined + jobs_deleted < jobs),
    CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'incomplete')) OR state = 'abandoned')
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The jobs of a batch that are alike for dispatch: whether a worker may have one of them is judged once per lane. A batch
-- begins with one; edited jobs move to another.
CREATE TABLE IF NOT EXISTS lanes (
    id           BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    batch_id     BIGINT       NOT NULL,
    plugin       VARCHAR(255) NOT NULL CHECK (plugin <> ''),
    priority     BIGINT       NOT NULL,
    -- As jobserver/wire writes Requirements.
    requirements MEDIUMTEXT   NOT NULL CHECK (JSON_VALID(requirements)),
    digest       CHAR(64)     GENERATED ALWAYS AS (SHA2(requirements, 256)) STORED,
    UNIQUE INDEX one_lane_of_a_kind (batch_id, plugin, priority, digest),
    CONSTRAINT lanes_are_of_a_batch FOREIGN KEY (batch_id) REFERENCES batches (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS jobs (
    id           BIGINT       NOT NULL PRIMARY KEY,
    batch_id     BIGINT       NOT NULL,
    -- Its place in the batch, from 0.
    seq          BIGINT       NOT NULL CHECK (seq >= 0),
    lane_id      BIGINT       NOT NULL,
    state        VARCHAR(16)  NOT NULL
                 CHECK (state IN ('waiting', 'running', 'done', 'quarantined', 'suspended', 'deleted')),
    reason       MEDIUMTEXT   NOT NULL DEFAULT (''),
    revision     BIGINT       NOT NULL DEFAULT 1 CHECK (revision > 0),
    -- Its records are job_records first_record … first_record + records - 1.
    first_record BIGINT       NOT NULL,
    records      BIGINT       NOT NULL CHECK (records > 0),
    -- Of its accepted results, those that are errors.
    errors       BIGINT       NOT NULL DEFAULT 0,
    pickups      BIGINT       NOT NULL DEFAULT 0,
    -- Attempts that failed, and leases that were lost, since it was handed in or retried.
    failures     BIGINT       NOT NULL DEFAULT 0,
    losses       BIGINT       NOT NULL DEFAULT 0 CHECK (losses >= 0),
    -- It is not handed out before this moment (back-off after a failure); 0 for at once.
    not_before   BIGINT       NOT NULL DEFAULT 0,
    -- The attempt that holds it or did it, and that attempt's worker.
    attempt_id   BIGINT,
    worker       VARCHAR(255),
    started_at   BIGINT,
    finished_at  BIGINT,
    -- Its lane while it waits: a job that ends changes no index.
    waiting_lane BIGINT       GENERATED ALWAYS AS (CASE WHEN state = 'waiting' THEN lane_id END) STORED,
    UNIQUE INDEX jobs_of_batch (batch_id, seq),
    -- Dispatch reads on by place.
    INDEX jobs_waiting (waiting_lane, seq),
    CONSTRAINT jobs_are_of_a_batch FOREIGN KEY (batch_id) REFERENCES batches (id),
    CHECK (errors BETWEEN 0 AND records),
    CHECK (failures BETWEEN 0 AND pickups),
    CHECK ((attempt_id IS NOT NULL) = (state IN ('running', 'done'))),
    CHECK ((worker IS NOT NULL) = (attempt_id IS NOT NULL)),
    CHECK ((finished_at IS NOT NULL) = (state = 'done')),
    CHECK (errors = 0 OR state = 'done'),
    CHECK ((started_at IS NOT NULL) = (pickups > 0)),
    CHECK (reason <> '' OR state NOT IN ('quarantined', 'suspended', 'deleted'))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS job_records (
    id     BIGINT     NOT NULL PRIMARY KEY,
    job_id BIGINT     NOT NULL,
    -- Its fields as a JSON array of text, in the order of the batch's columns.
    data   MEDIUMTEXT NOT NULL,
    INDEX job_records_of_job (job_id),
    CONSTRAINT records_are_of_a_job FOREIGN KEY (job_id) REFERENCES jobs (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS job_results (
    -- The key is what makes a second result for a record impossible.
    job_record_id BIGINT NOT NULL PRIMARY KEY,
    -- That of its record, by which it is found.
    job_id        BIGINT NOT NULL,
    attempt_id    BIGINT NOT NULL,
    -- Output column → value, as a JSON object.
    result        MEDIUMTEXT,
    error         MEDIUMTEXT,
    CONSTRAINT results_are_of_a_record FOREIGN KEY (job_record_id) REFERENCES job_records (id),
    CHECK ((result IS NULL) <> (error IS NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Results that had been accepted when their job was retried: kept, with the attempt they came from.
CREATE TABLE IF NOT EXISTS superseded_results (
    job_record_id BIGINT NOT NULL,
    job_id        BIGINT NOT NULL,
    attempt_id    BIGINT NOT NULL,
    result        MEDIUMTEXT,
    error         MEDIUMTEXT,
    PRIMARY KEY (job_record_id, attempt_id),
    INDEX superseded_results_of_job (job_id),
    CONSTRAINT superseded_results_are_of_a_record FOREIGN KEY (job_record_id) REFERENCES job_records (id),
    CONSTRAINT superseded_results_are_of_a_job FOREIGN KEY (job_id) REFERENCES jobs (id),
    CHECK ((result IS NULL) <> (error IS NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS attempts (
    id             BIGINT       NOT NULL PRIMARY KEY,
    job_id         BIGINT       NOT NULL,
    secret         VARCHAR(64)  NOT NULL,
    worker         VARCHAR(255) NOT NULL,
    revision       BIGINT       NOT NULL,
    -- The release of the claim; from acceptance on the one that computed the results.
    `release`      MEDIUMTEXT   NOT NULL,
    release_commit MEDIUMTEXT   NOT NULL,
    state          VARCHAR(16)  NOT NULL
                   CHECK (state IN ('running', 'lost', 'given_back', 'accepted', 'superseded')),
    reason         MEDIUMTEXT   NOT NULL DEFAULT (''),
    lease_ms       BIGINT       NOT NULL CHECK (lease_ms > 0),
    lease_until    BIGINT,
    records_done   BIGINT       NOT NULL DEFAULT 0,
    work_ms        BIGINT,
    -- The position that the data of accepted results had reached; NULL when none was told (wire's ReachedPosition).
    data_primary   VARCHAR(255) CHECK (data_primary <> ''),
    data_gtid      MEDIUMTEXT,
    started_at     BIGINT       NOT NULL,
    ended_at       BIGINT,
    -- 1 while it holds its job or did it; NULL from when it does not.
    holds          TINYINT      GENERATED ALWAYS AS (CASE WHEN state IN ('running', 'accepted') THEN 1 END) STORED,
    -- Its worker while it runs.
    runs_on        VARCHAR(255) GENERATED ALWAYS AS (CASE WHEN lease_until IS NOT NULL THEN worker END) STORED,
    -- The attempts at a job, and the rule that one of them holds a revision: a retried job keeps the one that was accepted
    -- before, at its older revision.
    UNIQUE INDEX one_attempt_holds_a_revision (job_id, revision, holds),
    -- One index for two questions: which run on a worker, and of all that run, whose lease is over.
    INDEX attempts_running (runs_on, lease_until),
    CONSTRAINT attempts_are_of_a_job FOREIGN KEY (job_id) REFERENCES jobs (id),
    CHECK ((data_primary IS NOT NULL) = (data_gtid IS NOT NULL)),
    CHECK ((lease_until IS NOT NULL) = (state = 'running')),
    CHECK ((ended_at IS NULL) = (state = 'running')),
    CHECK ((work_ms IS NOT NULL) = (state = 'accepted'))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- How fast a plugin is (accepted work, the past fading), and when its results were last accepted.
CREATE TABLE IF NOT EXISTS job_types (
    plugin      VARCHAR(255) NOT NULL PRIMARY KEY,
    records     BIGINT       NOT NULL CHECK (records > 0),
    work_ms     BIGINT       NOT NULL CHECK (work_ms >= 0),
    accepted_at BIGINT       NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS workers (
    worker          VARCHAR(255) NOT NULL PRIMARY KEY CHECK (worker <> ''),
    -- What people call it; '' for its identity.
    name            MEDIUMTEXT   NOT NULL DEFAULT (''),
    -- As reported.
    host            MEDIUMTEXT   NOT NULL,
    state           VARCHAR(16)  NOT NULL CHECK (state IN ('working', 'waiting', 'resting', 'stopped', 'blocked')),
    reason          MEDIUMTEXT   NOT NULL,
    `release`       MEDIUMTEXT   NOT NULL,
    refused         MEDIUMTEXT   NOT NULL CHECK (JSON_VALID(refused)),
    steps           MEDIUMTEXT   NOT NULL CHECK (JSON_VALID(steps)),
    -- Its replica, as a JSON object; NULL when it has none.
    replica         MEDIUMTEXT   CHECK (JSON_VALID(replica)),
    -- Results that it could not hand in yet: of so many jobs, so many bytes.
    spool_jobs      BIGINT       NOT NULL DEFAULT 0 CHECK (spool_jobs >= 0),
    spool_bytes     BIGINT       NOT NULL DEFAULT 0 CHECK (spool_bytes >= 0),
    address         MEDIUMTEXT   NOT NULL,
    -- As it claimed last; 0 for a machine it did not describe.
    plugins         MEDIUMTEXT   NOT NULL DEFAULT ('[]') CHECK (JSON_VALID(plugins)),
    memory_mb       BIGINT       NOT NULL DEFAULT 0 CHECK (memory_mb >= 0),
    disk_mb         BIGINT       NOT NULL DEFAULT 0 CHECK (disk_mb >= 0),
    -- What people set: tags for jobs that need one, and why it gets no jobs.
    tags            MEDIUMTEXT   NOT NULL DEFAULT ('[]') CHECK (JSON_VALID(tags)),
    drained         MEDIUMTEXT   CHECK (drained <> ''),
    -- Different jobs that failed on it since it last did one, the last of them, and since when.
    failures_in_row BIGINT       NOT NULL DEFAULT 0 CHECK (failures_in_row >= 0),
    failing_job     BIGINT,
    failing_since   BIGINT,
    first_seen      BIGINT       NOT NULL,
    last_seen       BIGINT       NOT NULL,
    jobs_done       BIGINT       NOT NULL DEFAULT 0,
    records_done    BIGINT       NOT NULL DEFAULT 0,
    CHECK ((failing_job IS NOT NULL) = (failures_in_row > 0)),
    CHECK ((failing_since IS NOT NULL) = (failures_in_row > 0))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row: when a server of this store was last known to be alive. After a longer gap leases are extended by it.
CREATE TABLE IF NOT EXISTS server_life (
    id         BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    last_alive BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS numbers (
    name VARCHAR(16) NOT NULL PRIMARY KEY CHECK (name IN ('batches', 'jobs', 'records', 'attempts')),
    next BIGINT      NOT NULL CHECK (next > 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO numbers (name, next) VALUES ('batches', 1), ('jobs', 1), ('records', 1), ('attempts', 1);

-- The last group of verbs that a server committed; one row for each start of a server.
CREATE TABLE IF NOT EXISTS group_commits (
    writer VARCHAR(80) NOT NULL PRIMARY KEY,
    last   BIGINT      NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

SET SESSION foreign_key_checks = 1;
