-- Stops that operators raised at a job server; those of the repository stand in the repository.
CREATE TABLE stops (
    id         INTEGER PRIMARY KEY,
    -- What it stops, as a JSON object; {} is everything. Raised again, it is the same stop.
    scope      TEXT    NOT NULL UNIQUE CHECK (json_type(scope) = 'object'),
    reason     TEXT    NOT NULL,
    stopped_by TEXT    NOT NULL,
    -- Milliseconds since 1970 UTC.
    stopped_at INTEGER NOT NULL
) STRICT;
