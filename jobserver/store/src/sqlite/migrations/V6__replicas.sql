-- How positions of batches changed because the primary became another server.
CREATE TABLE batch_repins (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_id     INTEGER NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    -- Milliseconds since 1970 UTC.
    repinned_at  INTEGER NOT NULL,
    from_primary TEXT    NOT NULL CHECK (from_primary <> ''),
    from_gtid    TEXT    NOT NULL,
    from_noted   INTEGER NOT NULL,
    to_primary   TEXT    NOT NULL CHECK (to_primary <> ''),
    to_gtid      TEXT    NOT NULL,
    to_noted     INTEGER NOT NULL,
    -- Jobs of the batch that had their results by then.
    jobs_done    INTEGER NOT NULL CHECK (jobs_done >= 0),
    CHECK (from_primary <> to_primary)
) STRICT;

CREATE INDEX repins_of_batch ON batch_repins (batch_id);

-- Which workers build their replicas anew just now: permits, each until its lease is over.
CREATE TABLE rebuilds (
    worker     TEXT    PRIMARY KEY NOT NULL CHECK (worker <> ''),
    reason     TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    until      INTEGER NOT NULL
) STRICT;
