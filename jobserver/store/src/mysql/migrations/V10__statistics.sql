-- Twin of sqlite/migrations/V10__statistics.sql; types as in V1. Reasons are short, because they stand in a key.
CREATE TABLE IF NOT EXISTS work_done (
    span_ms    BIGINT       NOT NULL CHECK (span_ms = 3600000 OR span_ms = 86400000),
    -- The moment the hour or day began, in milliseconds since 1970 UTC.
    began      BIGINT       NOT NULL,
    worker     VARCHAR(255) NOT NULL CHECK (worker <> ''),
    -- '' when the worker called it by no name of a release.
    `release`  VARCHAR(64)  NOT NULL,
    plugin     VARCHAR(255) NOT NULL CHECK (plugin <> ''),
    -- The step of jobserver/rules/src/turnaround.rs that the jobs' turnaround belongs to; -1 for attempts that failed.
    turnaround BIGINT       NOT NULL CHECK (turnaround BETWEEN -1 AND 47),
    jobs       BIGINT       NOT NULL CHECK (jobs >= 0),
    records    BIGINT       NOT NULL CHECK (records >= 0),
    errors     BIGINT       NOT NULL,
    work_ms    BIGINT       NOT NULL CHECK (work_ms >= 0),
    -- Attempts that failed.
    failures   BIGINT       NOT NULL CHECK (failures >= 0),
    -- Attempts that were started at these jobs.
    pickups    BIGINT       NOT NULL CHECK (pickups >= 0),
    PRIMARY KEY (span_ms, began, worker, `release`, plugin, turnaround),
    CONSTRAINT work_begins_with_its_span CHECK (began % span_ms = 0),
    CONSTRAINT errors_of_work_are_records CHECK (errors BETWEEN 0 AND records)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- How workers spent the time.
CREATE TABLE IF NOT EXISTS worker_time (
    span_ms        BIGINT       NOT NULL CHECK (span_ms = 3600000 OR span_ms = 86400000),
    began          BIGINT       NOT NULL,
    state          VARCHAR(16)  NOT NULL CHECK (state <> ''),
    reason         VARCHAR(160) NOT NULL,
    -- Minutes, all workers added up, and minutes in which there was at least one.
    worker_minutes BIGINT       NOT NULL CHECK (worker_minutes >= 0),
    minutes        BIGINT       NOT NULL,
    PRIMARY KEY (span_ms, began, state, reason),
    CONSTRAINT time_begins_with_its_span CHECK (began % span_ms = 0),
    CONSTRAINT minutes_are_worker_minutes CHECK (minutes BETWEEN 0 AND worker_minutes)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row: the minute that was counted last. Whoever counts minutes or makes days of hours locks it.
CREATE TABLE IF NOT EXISTS worker_time_counted (
    id     BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    minute BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO worker_time_counted (id, minute) VALUES (1, 0) ON DUPLICATE KEY UPDATE id = 1;

-- What later times are compared with.
CREATE TABLE IF NOT EXISTS baselines (
    name        VARCHAR(100) NOT NULL PRIMARY KEY CHECK (name <> ''),
    recorded_at BIGINT       NOT NULL,
    recorded_by VARCHAR(255) NOT NULL,
    since       BIGINT       NOT NULL,
    until       BIGINT       NOT NULL,
    -- As jobserver/wire writes GridFigures and BaselineOffice.
    figures     MEDIUMTEXT   NOT NULL CHECK (json_valid(figures)),
    office      MEDIUMTEXT   CHECK (office IS NULL OR json_valid(office)),
    CONSTRAINT a_baseline_ends_after_it_begins CHECK (until > since)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
