-- The job tables. Anyone may read them with plain SQL: jobs, job_records and job_results are the three tables of the
-- articles; batches, attempts, workers and job_types stand beside them.
--
-- Moments are milliseconds since 1970 UTC, durations milliseconds. Numbers are never used again (AUTOINCREMENT).
-- A rule that every row must obey is a CHECK here; the rules about moves are in jobserver/rules. States that rows are
-- often written with are compared one by one: for `IN` with more than two words SQLite builds and drops a temporary index
-- each time a row is written.

CREATE TABLE batches (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    name             TEXT    NOT NULL,
    plugin           TEXT    NOT NULL CHECK (plugin <> ''),
    -- 'abandoned': its hand-in broke off and it is being removed; nobody sees it.
    state            TEXT    NOT NULL CHECK (state = 'receiving' OR state = 'abandoned' OR state = 'open' OR state = 'done'
                                      OR state = 'incomplete'),
    priority         INTEGER NOT NULL,
    columns          TEXT    NOT NULL CHECK (json_type(columns) = 'array'),
    outputs          TEXT    NOT NULL CHECK (json_type(outputs) = 'array'),
    lease_ms         INTEGER NOT NULL CHECK (lease_ms > 0),
    max_attempts     INTEGER NOT NULL CHECK (max_attempts > 0),
    records          INTEGER NOT NULL DEFAULT 0 CHECK (records >= 0),
    results          INTEGER NOT NULL DEFAULT 0 CHECK (results BETWEEN 0 AND records),
    errors           INTEGER NOT NULL DEFAULT 0 CHECK (errors BETWEEN 0 AND results),
    jobs             INTEGER NOT NULL DEFAULT 0 CHECK (jobs >= 0),
    jobs_done        INTEGER NOT NULL DEFAULT 0 CHECK (jobs_done >= 0),
    jobs_running     INTEGER NOT NULL DEFAULT 0 CHECK (jobs_running >= 0),
    jobs_quarantined INTEGER NOT NULL DEFAULT 0 CHECK (jobs_quarantined >= 0),
    created_at       INTEGER NOT NULL,
    finished_at      INTEGER,
    CHECK (jobs_done + jobs_running + jobs_quarantined <= jobs),
    CHECK (state <> 'done' OR (results = records AND jobs_done = jobs)),
    CHECK (state <> 'incomplete' OR (jobs_quarantined > 0 AND jobs_done + jobs_quarantined = jobs)),
    CHECK (state <> 'open' OR jobs_done + jobs_quarantined < jobs),
    CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'incomplete')))
) STRICT;

CREATE TABLE jobs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_id     INTEGER NOT NULL REFERENCES batches (id),
    seq          INTEGER NOT NULL CHECK (seq >= 0),
    -- Of its batch, so that a claim finds its job by one index.
    plugin       TEXT    NOT NULL,
    priority     INTEGER NOT NULL,
    state        TEXT    NOT NULL CHECK (state = 'receiving' OR state = 'waiting' OR state = 'running' OR state = 'done'
                                  OR state = 'quarantined'),
    reason       TEXT    NOT NULL DEFAULT '',
    revision     INTEGER NOT NULL DEFAULT 1 CHECK (revision > 0),
    -- Its records are job_records first_record … first_record + records - 1.
    first_record INTEGER NOT NULL,
    records      INTEGER NOT NULL CHECK (records > 0),
    pickups      INTEGER NOT NULL DEFAULT 0,
    failures     INTEGER NOT NULL DEFAULT 0 CHECK (failures BETWEEN 0 AND pickups),
    -- The attempt that holds it or did it, and that attempt's worker.
    attempt_id   INTEGER REFERENCES attempts (id),
    worker       TEXT,
    started_at   INTEGER,
    finished_at  INTEGER,
    UNIQUE (batch_id, seq),
    CHECK ((attempt_id IS NOT NULL) = (state IN ('running', 'done'))),
    CHECK ((worker IS NOT NULL) = (attempt_id IS NOT NULL)),
    CHECK ((finished_at IS NOT NULL) = (state = 'done')),
    CHECK ((started_at IS NOT NULL) = (pickups > 0)),
    CHECK (state <> 'quarantined' OR reason <> '')
) STRICT;

CREATE INDEX jobs_to_claim ON jobs (plugin, priority DESC, id) WHERE state = 'waiting';

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
    job_id        INTEGER NOT NULL REFERENCES jobs (id),
    attempt_id    INTEGER NOT NULL REFERENCES attempts (id),
    -- Output column → value, as a JSON object.
    result        TEXT,
    error         TEXT,
    CHECK ((result IS NULL) <> (error IS NULL))
) STRICT;

CREATE INDEX job_results_of_job ON job_results (job_id);

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
    started_at     INTEGER NOT NULL,
    ended_at       INTEGER,
    CHECK ((lease_until IS NOT NULL) = (state = 'running')),
    CHECK ((ended_at IS NULL) = (state = 'running')),
    CHECK ((work_ms IS NOT NULL) = (state = 'accepted'))
) STRICT;

CREATE INDEX attempts_of_job ON attempts (job_id);
CREATE UNIQUE INDEX one_running_attempt_of_a_job ON attempts (job_id) WHERE state = 'running';
CREATE UNIQUE INDEX one_accepted_attempt_of_a_job ON attempts (job_id) WHERE state = 'accepted';
CREATE INDEX attempts_by_lease ON attempts (lease_until) WHERE state = 'running';
CREATE INDEX attempts_by_worker ON attempts (worker) WHERE state = 'running';

-- How fast a plugin is: accepted work, the past fading.
CREATE TABLE job_types (
    plugin  TEXT    PRIMARY KEY,
    records INTEGER NOT NULL CHECK (records > 0),
    work_ms INTEGER NOT NULL CHECK (work_ms >= 0)
) STRICT;

CREATE TABLE workers (
    worker       TEXT    PRIMARY KEY CHECK (worker <> ''),
    host         TEXT    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('working', 'waiting', 'resting', 'stopped', 'blocked')),
    reason       TEXT    NOT NULL,
    release      TEXT    NOT NULL,
    refused      TEXT    NOT NULL CHECK (json_type(refused) = 'array'),
    steps        TEXT    NOT NULL CHECK (json_type(steps) = 'array'),
    address      TEXT    NOT NULL,
    first_seen   INTEGER NOT NULL,
    last_seen    INTEGER NOT NULL,
    jobs_done    INTEGER NOT NULL DEFAULT 0,
    records_done INTEGER NOT NULL DEFAULT 0
) STRICT;
