-- Who is logged in to the dashboard. Nothing secret is here: both hashes are SHA-256 in hex.
CREATE TABLE sessions (
    hash       TEXT    PRIMARY KEY CHECK (length(hash) = 64),
    token_hash TEXT    NOT NULL CHECK (length(token_hash) = 64),
    opened_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    CHECK (expires_at > opened_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_end ON sessions (expires_at);

-- Who did what. Rows are added and never changed.
CREATE TABLE acts (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    done_at  INTEGER NOT NULL,
    done_by  TEXT    NOT NULL CHECK (done_by <> ''),
    did      TEXT    NOT NULL CHECK (did <> ''),
    why      TEXT    NOT NULL
) STRICT;

CREATE TRIGGER acts_are_not_changed BEFORE UPDATE ON acts
BEGIN
    SELECT RAISE(ABORT, 'what was done is not changed');
END;

-- What was accepted within each hour, by plugin: a small table, so that a day is drawn without looking at any job.
CREATE TABLE hours_of_work (
    -- The moment the hour began, in milliseconds since 1970 UTC.
    hour     INTEGER NOT NULL CHECK (hour % 3600000 = 0),
    plugin   TEXT    NOT NULL CHECK (plugin <> ''),
    jobs     INTEGER NOT NULL CHECK (jobs >= 0),
    records  INTEGER NOT NULL CHECK (records >= 0),
    errors   INTEGER NOT NULL CHECK (errors BETWEEN 0 AND records),
    work_ms  INTEGER NOT NULL CHECK (work_ms >= 0),
    failures INTEGER NOT NULL CHECK (failures >= 0),
    PRIMARY KEY (hour, plugin)
) STRICT, WITHOUT ROWID;
