-- How releases do on the workers that have them: small tables of counters, by which rings are opened and sent back.
CREATE TABLE rollouts (
    release  TEXT    PRIMARY KEY CHECK (release <> ''),
    tag_id   TEXT    NOT NULL,
    -- nightshift.toml as it stands in the release; the plan is in it.
    settings TEXT    NOT NULL,
    noted_at INTEGER NOT NULL
) STRICT;

-- What each worker did with each release and plugin.
CREATE TABLE rollout_work (
    release  TEXT    NOT NULL CHECK (release <> ''),
    worker   TEXT    NOT NULL CHECK (worker <> ''),
    plugin   TEXT    NOT NULL CHECK (plugin <> ''),
    jobs     INTEGER NOT NULL CHECK (jobs >= 0),
    records  INTEGER NOT NULL CHECK (records >= 0),
    errors   INTEGER NOT NULL CHECK (errors BETWEEN 0 AND records),
    work_ms  INTEGER NOT NULL CHECK (work_ms >= 0),
    -- Attempts that failed.
    failures INTEGER NOT NULL CHECK (failures >= 0),
    PRIMARY KEY (release, worker, plugin)
) STRICT, WITHOUT ROWID;

-- What each worker said last about its trial of a release.
CREATE TABLE rollout_trials (
    release        TEXT    NOT NULL CHECK (release <> ''),
    worker         TEXT    NOT NULL CHECK (worker <> ''),
    ring           TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('running', 'good', 'bad', 'unknown')),
    samples_passed INTEGER NOT NULL CHECK (samples_passed >= 0),
    samples_failed INTEGER NOT NULL CHECK (samples_failed >= 0),
    reported_at    INTEGER NOT NULL,
    PRIMARY KEY (release, worker)
) STRICT, WITHOUT ROWID;

-- Rings that were sent back, for good.
CREATE TABLE rollout_halts (
    release   TEXT    NOT NULL CHECK (release <> ''),
    ring      TEXT    NOT NULL,
    reason    TEXT    NOT NULL CHECK (reason <> ''),
    halted_at INTEGER NOT NULL,
    PRIMARY KEY (release, ring)
) STRICT, WITHOUT ROWID;
