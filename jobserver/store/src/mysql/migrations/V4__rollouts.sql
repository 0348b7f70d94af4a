-- Twin of sqlite/migrations/V4__rollouts.sql; types as in V1. A release's tag stands in keys and is short.
CREATE TABLE IF NOT EXISTS rollouts (
    `release` VARCHAR(64) NOT NULL PRIMARY KEY CHECK (`release` <> ''),
    tag_id    VARCHAR(64) NOT NULL,
    -- nightshift.toml as it stands in the release; the plan is in it.
    settings  MEDIUMTEXT  NOT NULL,
    noted_at  BIGINT      NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What each worker did with each release and plugin.
CREATE TABLE IF NOT EXISTS rollout_work (
    `release` VARCHAR(64)  NOT NULL CHECK (`release` <> ''),
    worker    VARCHAR(255) NOT NULL CHECK (worker <> ''),
    plugin    VARCHAR(255) NOT NULL CHECK (plugin <> ''),
    jobs      BIGINT       NOT NULL CHECK (jobs >= 0),
    records   BIGINT       NOT NULL CHECK (records >= 0),
    errors    BIGINT       NOT NULL,
    work_ms   BIGINT       NOT NULL CHECK (work_ms >= 0),
    -- Attempts that failed.
    failures  BIGINT       NOT NULL CHECK (failures >= 0),
    PRIMARY KEY (`release`, worker, plugin),
    CONSTRAINT errors_are_records CHECK (errors BETWEEN 0 AND records)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What each worker said last about its trial of a release.
CREATE TABLE IF NOT EXISTS rollout_trials (
    `release`      VARCHAR(64)  NOT NULL CHECK (`release` <> ''),
    worker         VARCHAR(255) NOT NULL CHECK (worker <> ''),
    ring           VARCHAR(64)  NOT NULL,
    state          VARCHAR(16)  NOT NULL CHECK (state IN ('running', 'good', 'bad', 'unknown')),
    samples_passed BIGINT       NOT NULL CHECK (samples_passed >= 0),
    samples_failed BIGINT       NOT NULL CHECK (samples_failed >= 0),
    reported_at    BIGINT       NOT NULL,
    PRIMARY KEY (`release`, worker)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Rings that were sent back, for good.
CREATE TABLE IF NOT EXISTS rollout_halts (
    `release` VARCHAR(64) NOT NULL CHECK (`release` <> ''),
    ring      VARCHAR(64) NOT NULL,
    reason    MEDIUMTEXT  NOT NULL CHECK (reason <> ''),
    halted_at BIGINT      NOT NULL,
    PRIMARY KEY (`release`, ring)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
