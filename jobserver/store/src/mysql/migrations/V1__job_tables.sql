-- The job tables, twin of sqlite/migrations/V1__job_tables.sql: same tables, same columns, same rules. What differs:
-- - Every statement can be run again: MySQL commits after each CREATE TABLE, so a migration that was cut off half-way is
--   simply begun anew (IF NOT EXISTS).
-- - There are no partial indexes. A unique one becomes a generated column that is NULL where the rule does not look; a
--   plain one gets the state in front.
-- - Text that is compared is VARCHAR in a binary collation, as SQLite compares bytes; all other text is MEDIUMTEXT. JSON
--   is kept as the text it was: a JSON column would change numbers and the order of keys.
-- - `release` is a reserved word and stands in backticks; behind a dot (attempts.release) it needs none.
-- - job_results.attempt_id has no foreign key: it would need an index of its own, which costs more than the results.
-- - numbers hands out the numbers of batches and records before they are written, so that a step whose commit was
--   cut off can be looked for; batches.receiver is the server that takes a batch in, since several may share the store.

SET SESSION foreign_key_checks = 0;

CREATE TABLE IF NOT EXISTS batches (
    id               BIGINT       NOT NULL PRIMARY KEY,
    name             MEDIUMTEXT   NOT NULL,
    plugin           VARCHAR(255) NOT NULL CHECK (plugin <> ''),
    -- 'abandoned': its hand-in broke off and it is being removed; nobody sees it.
    state            VARCHAR(16)  NOT NULL CHECK (state IN ('receiving', 'abandoned', 'open', 'done', 'incomplete')),
    receiver         VARCHAR(64)  NOT NULL,
    priority         BIGINT       NOT NULL,
    columns          MEDIUMTEXT   NOT NULL CHECK (JSON_VALID(columns)),
    outputs          MEDIUMTEXT   NOT NULL CHECK (JSON_VALID(outputs)),
    lease_ms         BIGINT       NOT NULL CHECK (lease_ms > 0),
    max_attempts     BIGINT       NOT NULL CHECK (max_attempts > 0),
    records          BIGINT       NOT NULL DEFAULT 0 CHECK (records >= 0),
    results          BIGINT       NOT NULL DEFAULT 0,
    errors           BIGINT       NOT NULL DEFAULT 0,
    jobs             BIGINT       NOT NULL DEFAULT 0 CHECK (jobs >= 0),
    jobs_done        BIGINT       NOT NULL DEFAULT 0 CHECK (jobs_done >= 0),
    jobs_running     BIGINT       NOT NULL DEFAULT 0 CHECK (jobs_running >= 0),
    jobs_quarantined BIGINT       NOT NULL DEFAULT 0 CHECK (jobs_quarantined >= 0),
    created_at       BIGINT       NOT NULL,
    finished_at      BIGINT,
    INDEX batches_by_state (state),
    CHECK (results BETWEEN 0 AND records),
    CHECK (errors BETWEEN 0 AND results),
    CHECK (jobs_done + jobs_running + jobs_quarantined <= jobs),
    CHECK (state <> 'done' OR (results = records AND jobs_done = jobs)),
    CHECK (state <> 'incomplete' OR (jobs_quarantined > 0 AND jobs_done + jobs_quarantined = jobs)),
    CHECK (state <> 'open' OR jobs_done + jobs_quarantined < jobs),
    CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'incomplete')))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS jobs (
    id           BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    batch_id     BIGINT       NOT NULL,
    seq          BIGINT       NOT NULL CHECK (seq >= 0),
    -- Of its batch, so that a claim finds its job by one index.
    plugin       VARCHAR(255) NOT NULL,
    priority     BIGINT       NOT NULL,
    state        VARCHAR(16)  NOT NULL CHECK (state IN ('receiving', 'waiting', 'running', 'done', 'quarantined')),
    reason       MEDIUMTEXT   NOT NULL DEFAULT (''),
    revision     BIGINT       NOT NULL DEFAULT 1 CHECK (revision > 0),
    -- Its records are job_records first_record … first_record + records - 1.
    first_record BIGINT       NOT NULL,
    records      BIGINT       NOT NULL CHECK (records > 0),
    pickups      BIGINT       NOT NULL DEFAULT 0,
    failures     BIGINT       NOT NULL DEFAULT 0,
    -- The attempt that holds it or did it, and that attempt's worker.
    attempt_id   BIGINT,
    worker       VARCHAR(255),
    started_at   BIGINT,
    finished_at  BIGINT,
    UNIQUE INDEX jobs_of_batch (batch_id, seq),
    INDEX jobs_to_claim (state, plugin, priority DESC, id),
    INDEX jobs_of_attempt (attempt_id),
    CONSTRAINT jobs_are_of_a_batch FOREIGN KEY (batch_id) REFERENCES batches (id),
    CONSTRAINT jobs_have_an_attempt FOREIGN KEY (attempt_id) REFERENCES attempts (id),
    CHECK (failures BETWEEN 0 AND pickups),
    CHECK ((attempt_id IS NOT NULL) = (state IN ('running', 'done'))),
    CHECK ((worker IS NOT NULL) = (attempt_id IS NOT NULL)),
    CHECK ((finished_at IS NOT NULL) = (state = 'done')),
    CHECK ((started_at IS NOT NULL) = (pickups > 0)),
    CHECK (state <> 'quarantined' OR reason <> '')
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
    job_id        BIGINT NOT NULL,
    attempt_id    BIGINT NOT NULL,
    -- Output column → value, as a JSON object.
    result        MEDIUMTEXT,
    error         MEDIUMTEXT,
    INDEX job_results_of_job (job_id),
    CONSTRAINT results_are_of_a_record FOREIGN KEY (job_record_id) REFERENCES job_records (id),
    CONSTRAINT results_are_of_a_job FOREIGN KEY (job_id) REFERENCES jobs (id),
    CHECK ((result IS NULL) <> (error IS NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS attempts (
    id             BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
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
    started_at     BIGINT       NOT NULL,
    ended_at       BIGINT,
    running_job    BIGINT       GENERATED ALWAYS AS (CASE WHEN state = 'running' THEN job_id END) STORED,
    accepted_job   BIGINT       GENERATED ALWAYS AS (CASE WHEN state = 'accepted' THEN job_id END) STORED,
    INDEX attempts_of_job (job_id),
    UNIQUE INDEX one_running_attempt_of_a_job (running_job),
    UNIQUE INDEX one_accepted_attempt_of_a_job (accepted_job),
    -- Only running attempts have a lease.
    INDEX attempts_by_lease (lease_until),
    INDEX attempts_by_worker (state, worker),
    CONSTRAINT attempts_are_of_a_job FOREIGN KEY (job_id) REFERENCES jobs (id),
    CHECK ((lease_until IS NOT NULL) = (state = 'running')),
    CHECK ((ended_at IS NULL) = (state = 'running')),
    CHECK ((work_ms IS NOT NULL) = (state = 'accepted'))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- How fast a plugin is: accepted work, the past fading.
CREATE TABLE IF NOT EXISTS job_types (
    plugin  VARCHAR(255) NOT NULL PRIMARY KEY,
    records BIGINT       NOT NULL CHECK (records > 0),
    work_ms BIGINT       NOT NULL CHECK (work_ms >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS workers (
    worker       VARCHAR(255) NOT NULL PRIMARY KEY CHECK (worker <> ''),
    host         MEDIUMTEXT   NOT NULL,
    state        VARCHAR(16)  NOT NULL CHECK (state IN ('working', 'waiting', 'resting', 'stopped', 'blocked')),
    reason       MEDIUMTEXT   NOT NULL,
    `release`    MEDIUMTEXT   NOT NULL,
    refused      MEDIUMTEXT   NOT NULL CHECK (JSON_VALID(refused)),
    steps        MEDIUMTEXT   NOT NULL CHECK (JSON_VALID(steps)),
    address      MEDIUMTEXT   NOT NULL,
    first_seen   BIGINT       NOT NULL,
    last_seen    BIGINT       NOT NULL,
    jobs_done    BIGINT       NOT NULL DEFAULT 0,
    records_done BIGINT       NOT NULL DEFAULT 0,
    INDEX workers_by_last_seen (last_seen)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS numbers (
    name VARCHAR(16) NOT NULL PRIMARY KEY CHECK (name IN ('batches', 'records')),
    next BIGINT      NOT NULL CHECK (next > 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO numbers (name, next) VALUES ('batches', 1), ('records', 1);

SET SESSION foreign_key_checks = 1;
