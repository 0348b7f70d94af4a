-- How fast plugins did their samples, as the hand-ins said of which no job of theirs was done yet.
CREATE TABLE job_samples (
    plugin  TEXT    PRIMARY KEY CHECK (plugin <> ''),
    records INTEGER NOT NULL CHECK (records > 0),
    work_ms INTEGER NOT NULL CHECK (work_ms >= 0)
) STRICT;
