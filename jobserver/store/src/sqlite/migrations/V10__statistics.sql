-- Statistics of the grid. Hours that are old become days (span_ms says which a row is), days that are very old go.
CREATE TABLE work_done (
    span_ms    INTEGER NOT NULL CHECK (span_ms = 3600000 OR span_ms = 86400000),
    -- The moment the hour or day began, in milliseconds since 1970 UTC.
    began      INTEGER NOT NULL CHECK (began % span_ms = 0),
    worker     TEXT    NOT NULL CHECK (worker <> ''),
    -- '' when the worker called it by no name of a release.
    release    TEXT    NOT NULL,
    plugin     TEXT    NOT NULL CHECK (plugin <> ''),
    -- The step of jobserver/rules/src/turnaround.rs that the jobs' turnaround belongs to; -1 for attempts that failed.
    turnaround INTEGER NOT NULL CHECK (turnaround BETWEEN -1 AND 47),
    jobs       INTEGER NOT NULL CHECK (jobs >= 0),
    records    INTEGER NOT NULL CHECK (records >= 0),
    errors     INTEGER NOT NULL CHECK (errors BETWEEN 0 AND records),
    work_ms    INTEGER NOT NULL CHECK (work_ms >= 0),
    -- Attempts that failed.
    failures   INTEGER NOT NULL CHECK (failures >= 0),
    -- Attempts that were started at these jobs.
    pickups    INTEGER NOT NULL CHECK (pickups >= 0),
    PRIMARY KEY (span_ms, began, worker, release, plugin, turnaround)
) STRICT, WITHOUT ROWID;

-- How workers spent the time.
CREATE TABLE worker_time (
    span_ms        INTEGER NOT NULL CHECK (span_ms = 3600000 OR span_ms = 86400000),
    began          INTEGER NOT NULL CHECK (began % span_ms = 0),
    state          TEXT    NOT NULL CHECK (state <> ''),
    reason         TEXT    NOT NULL,
    -- Minutes, all workers added up, and minutes in which there was at least one.
    worker_minutes INTEGER NOT NULL CHECK (worker_minutes >= 0),
    minutes        INTEGER NOT NULL CHECK (minutes BETWEEN 0 AND worker_minutes),
    PRIMARY KEY (span_ms, began, state, reason)
) STRICT, WITHOUT ROWID;

-- One row: the minute that was counted last.
CREATE TABLE worker_time_counted (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    minute INTEGER NOT NULL
) STRICT;

INSERT INTO worker_time_counted (id, minute) VALUES (1, 0);

-- What later times are compared with.
CREATE TABLE baselines (
    name        TEXT    PRIMARY KEY CHECK (name <> ''),
    recorded_at INTEGER NOT NULL,
    recorded_by TEXT    NOT NULL,
    since       INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    -- As jobserver/wire writes GridFigures and BaselineOffice.
    figures     TEXT    NOT NULL CHECK (json_type(figures) = 'object'),
    office      TEXT    CHECK (json_type(office) = 'object'),
    CHECK (until > since)
) STRICT, WITHOUT ROWID;
