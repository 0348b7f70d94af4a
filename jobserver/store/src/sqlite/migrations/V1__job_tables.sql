-- The job tables. Anyone may read them with plain SQL: jobs, job_records and job_results are the three tables of the
-- articles; batches, lanes, attempts, workers and job_types stand beside them.
--
-- Moments are milliseconds since 1970 UTC, durations milliseconds. Numbers are never used again (AUTOINCREMENT).
-- A rule that every row must obey is a CHECK here; the rules about moves are in jobserver/rules. States that rows are
-- often written with are compared one by one: for `IN` with more than two words SQLite builds and drops a temporary index
-- each time a row is written.

CREATE TABLE batches (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    name             TEXT    NOT NULL,
    plugin           TEXT    NOT NULL CHECK (plugin <> ''),
    -- 'abandoned': its hand-in broke off, or it was deleted, and it is being removed; nobody sees it.
    state            TEXT    NOT NULL CHECK (state = 'receiving' OR state = 'abandoned' OR state = 'open' OR state = 'done'
                                      OR state = 'incomplete'),
    -- Why none of its jobs is handed out; NULL when they are.
    suspended        TEXT    CHECK (suspended <> ''),
    -- As handed in; edited jobs may have others (lanes).
    priority         INTEGER NOT NULL,
    requirements     TEXT    NOT NULL CHECK (json_type(requirements) = 'object'),
    columns          TEXT    NOT NULL CHECK (json_type(columns) = 'array'),
    outputs          TEXT    NOT NULL CHECK (json_type(outputs) = 'array'),
    lease_ms         INTEGER NOT NULL CHECK (lease_ms > 0),
    max_attempts     INTEGER NOT NULL CHECK (max_attempts > 0),
    -- The part of its results, in thousandths, that may be errors before the breaker suspends it; 1000 for any.
    error_rate       INTEGER NOT NULL CHECK (error_rate BETWEEN 0 AND 1000),
    -- The position of the primary that its data must have reached; NULL when none was noted (wire's DataPosition).
    data_primary     TEXT    CHECK (data_primary <> ''),
    data_gtid        TEXT,
    data_noted       INTEGER,
    -- Results and errors since it was handed in or resumed: what the breaker judges by.
    judged_results   INTEGER NOT NULL DEFAULT 0 CHECK (judged_results >= 0),
    judged_errors    INTEGER NOT NULL DEFAULT 0 CHECK (judged_errors BETWEEN 0 AND judged_results),
    records          INTEGER NOT NULL DEFAULT 0 CHECK (records >= 0),
    results          INTEGER NOT NULL DEFAULT 0 CHECK (results BETWEEN 0 AND records),
    errors           INTEGER NOT NULL DEFAULT 0 CHECK (errors BETWEEN 0 AND results),
    -- Jobs, and how many are where; the rest waits.
    jobs             INTEGER NOT NULL DEFAULT 0 CHECK (jobs >= 0),
    jobs_running     INTEGER NOT NULL DEFAULT 0 CHECK (jobs_running >= 0),
    jobs_done        INTEGER NOT NULL DEFAULT 0 CHECK (jobs_done >= 0),
    jobs_quarantined INTEGER NOT NULL DEFAULT 0 CHECK (jobs_quarantined >= 0),
    jobs_suspended   INTEGER NOT NULL DEFAULT 0 CHECK (jobs_suspended >= 0),
    jobs_deleted     INTEGER NOT NULL DEFAULT 0 CHECK (jobs_deleted >= 0),
    created_at       INTEGER NOT NULL,
    finished_at      INTEGER,
    CHECK ((data_primary IS NOT NULL) = (data_gtid IS NOT NULL)),
    CHECK ((data_primary IS NOT NULL) = (data_noted IS NOT NULL)),
    CHECK (jobs_done + jobs_running + jobs_quarantined + jobs_suspended + jobs_deleted <= jobs),
    CHECK (state <> 'done' OR (results = records AND jobs_done = jobs)),
    CHECK (state <> 'incomplete' OR (jobs_done < jobs AND jobs_done + jobs_quarantined + jobs_deleted = jobs)),
    CHECK (state <> 'open' OR jobs_done + jobs_quarantined + jobs_deleted < jobs),
    CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'incomplete')) OR state = 'abandoned')
) STRICT;

-- The jobs of a batch that are alike for dispatch: whether a worker may have one of them is judged once per lane. A batch
-- begins with one; edited jobs move to another.
CREATE TABLE lanes (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_id     INTEGER NOT NULL REFERENCES batches (id),
    plugin       TEXT    NOT NULL CHECK (plugin <> ''),
    priority     INTEGER NOT NULL,
    -- As jobserver/wire writes Requirements.
    requirements TEXT    NOT NULL CHECK (json_type(requirements) = 'object'),
    UNIQUE (batch_id, plugin, priority, requirements)
) STRICT;

CREATE TABLE jobs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_id     INTEGER NOT NULL REFERENCES batches (id),
    -- Its place in the batch, from 0.
    seq          INTEGER NOT NULL CHECK (seq >= 0),
    -- Its lane. (What no index finds is not REFERENCES: SQLite would read the whole table for each row removed there.)
    lane_id      INTEGER NOT NULL,
    state        TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'running' OR state = 'done' OR state = 'receiving'
                                  OR state = 'quarantined' OR state = 'suspended' OR state = 'deleted'),
    reason       TEXT    NOT NULL DEFAULT '',
    revision     INTEGER NOT NULL DEFAULT 1 CHECK (revision > 0),
    -- Its records are job_records first_record … first_record + records - 1.
    first_record INTEGER NOT NULL,
    records      INTEGER NOT NULL CHECK (records > 0),
    -- Of its accepted results, those that are errors.
    errors       INTEGER NOT NULL DEFAULT 0 CHECK (errors BETWEEN 0 AND records),
    pickups      INTEGER NOT NULL DEFAULT 0,
    -- Attempts that failed, and leases that were lost, since it was handed in or retried.
    failures     INTEGER NOT NULL DEFAULT 0 CHECK (failures BETWEEN 0 AND pickups),
    losses       INTEGER NOT NULL DEFAULT 0 CHECK (losses >= 0),
    -- It is not handed out before this moment (back-off after a failure); 0 for at once.
    not_before   INTEGER NOT NULL DEFAULT 0,
    -- The attempt that holds it or did it, and that attempt's worker.
    attempt_id   INTEGER,
    worker       TEXT,
    started_at   INTEGER,
    finished_at  INTEGER,
    UNIQUE (batch_id, seq),
    CHECK ((attempt_id IS NOT NULL) = (state = 'running' OR state = 'done')),
    CHECK ((worker IS NOT NULL) = (attempt_id IS NOT NULL)),
    CHECK ((finished_at IS NOT NULL) = (state = 'done')),
    CHECK (errors = 0 OR state = 'done'),
    CHECK ((started_at IS NOT NULL) = (pickups > 0)),
    CHECK (reason <> '' OR (state <> 'quarantined' AND state <> 'suspended' AND state <> 'deleted'))
) STRICT;

-- Dispatch reads on by place. (MySQL has no partial indexes: there the state stands in the index.)
CREATE INDEX jobs_waiting ON jobs (lane_id, seq) WHERE state = 'waiting';

CREATE TABLE job_records (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER NOT NULL REFERENCES jobs (id),
    -- Its fields as a JSON array of text, in the order of the batch's columns.
    data   TEXT    NOT NULL
) STRICT;

CREATE INDEX job_records_of_job ON job_records (job_id);

CREATE TABLE job_results (
    -- The key is what makes a second result for a record impossible.
    job_record_id INTEGER PRIMARY KEY REFERENCES job_records (id),
    -- That of its record, by which it is found.
    job_id        INTEGER NOT NULL,
    attempt_id    INTEGER NOT NULL,
    -- Output column → value, as a JSON object.
    result        TEXT,
    error         TEXT,
    CHECK ((result IS NULL) <> (error IS NULL))
) STRICT;

-- Results that had been accepted when their job was retried: kept, with the attempt they came from.
CREATE TABLE superseded_results (
    job_record_id INTEGER NOT NULL REFERENCES job_records (id),
    job_id        INTEGER NOT NULL REFERENCES jobs (id),
    attempt_id    INTEGER NOT NULL,
    result        TEXT,
    error         TEXT,
    PRIMARY KEY (job_record_id, attempt_id),
    CHECK ((result IS NULL) <> (error IS NULL))
) STRICT;

CREATE INDEX superseded_results_of_job ON superseded_results (job_id);

CREATE TABLE attempts (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id         INTEGER NOT NULL REFERENCES jobs (id),
    secret         TEXT    NOT NULL,
    worker         TEXT    NOT NULL,
    revision       INTEGER NOT NULL,
    -- The release of the claim; from acceptance on the one that computed the results.
    release        TEXT    NOT NULL,
    release_commit TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state = 'running' OR state = 'lost' OR state = 'given_back' OR state = 'accepted'
                                    OR state = 'superseded'),
    reason         TEXT    NOT NULL DEFAULT '',
    lease_ms       INTEGER NOT NULL CHECK (lease_ms > 0),
    lease_until    INTEGER,
    records_done   INTEGER NOT NULL DEFAULT 0,
    work_ms        INTEGER,
    -- The position that the data of accepted results had reached; NULL when none was told (wire's ReachedPosition).
    data_primary   TEXT    CHECK (data_primary <> ''),
    data_gtid      TEXT,
    started_at     INTEGER NOT NULL,
    ended_at       INTEGER,
    CHECK ((data_primary IS NOT NULL) = (data_gtid IS NOT NULL)),
    CHECK ((lease_until IS NOT NULL) = (state = 'running')),
    CHECK ((ended_at IS NULL) = (state = 'running')),
    CHECK ((work_ms IS NOT NULL) = (state = 'accepted'))
) STRICT;

CREATE INDEX attempts_of_job ON attempts (job_id);
CREATE UNIQUE INDEX one_running_attempt_of_a_job ON attempts (job_id) WHERE state = 'running';
-- A retried job keeps the attempt that was accepted before, at its older revision.
CREATE UNIQUE INDEX one_accepted_attempt_of_a_revision ON attempts (job_id, revision) WHERE state = 'accepted';
CREATE INDEX attempts_by_lease ON attempts (lease_until) WHERE state = 'running';
CREATE INDEX attempts_by_worker ON attempts (worker) WHERE state = 'running';

-- How fast a plugin is (accepted work, the past fading), and when its results were last accepted.
CREATE TABLE job_types (
    plugin      TEXT    PRIMARY KEY,
    records     INTEGER NOT NULL CHECK (records > 0),
    work_ms     INTEGER NOT NULL CHECK (work_ms >= 0),
    accepted_at INTEGER NOT NULL
) STRICT;

CREATE TABLE workers (
    worker          TEXT    PRIMARY KEY CHECK (worker <> ''),
    -- What people call it; '' for its identity.
    name            TEXT    NOT NULL DEFAULT '',
    -- As reported.
    host            TEXT    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('working', 'waiting', 'resting', 'stopped', 'blocked')),
    reason          TEXT    NOT NULL,
    release         TEXT    NOT NULL,
    refused         TEXT    NOT NULL CHECK (json_type(refused) = 'array'),
    steps           TEXT    NOT NULL CHECK (json_type(steps) = 'array'),
    -- Its replica, as a JSON object; NULL when it has none.
    replica         TEXT    CHECK (json_type(replica) = 'object'),
    -- Results that it could not hand in yet: of so many jobs, so many bytes.
    spool_jobs      INTEGER NOT NULL DEFAULT 0 CHECK (spool_jobs >= 0),
    spool_bytes     INTEGER NOT NULL DEFAULT 0 CHECK (spool_bytes >= 0),
    address         TEXT    NOT NULL,
    -- As it claimed last; 0 for a machine it did not describe.
    plugins         TEXT    NOT NULL DEFAULT '[]' CHECK (json_type(plugins) = 'array'),
    memory_mb       INTEGER NOT NULL DEFAULT 0 CHECK (memory_mb >= 0),
    disk_mb         INTEGER NOT NULL DEFAULT 0 CHECK (disk_mb >= 0),
    -- What people set: tags for jobs that need one, and why it gets no jobs.
    tags            TEXT    NOT NULL DEFAULT '[]' CHECK (json_type(tags) = 'array'),
    drained         TEXT    CHECK (drained <> ''),
    -- Different jobs that failed on it since it last did one, the last of them, and since when.
    failures_in_row INTEGER NOT NULL DEFAULT 0 CHECK (failures_in_row >= 0),
    failing_job     INTEGER,
    failing_since   INTEGER,
    first_seen      INTEGER NOT NULL,
    last_seen       INTEGER NOT NULL,
    jobs_done       INTEGER NOT NULL DEFAULT 0,
    records_done    INTEGER NOT NULL DEFAULT 0,
    CHECK ((failing_job IS NOT NULL) = (failures_in_row > 0)),
    CHECK ((failing_since IS NOT NULL) = (failures_in_row > 0))
) STRICT;

-- One row: when a server of this store was last known to be alive. After a longer gap leases are extended by it.
CREATE TABLE server_life (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    last_alive INTEGER NOT NULL
) STRICT;
