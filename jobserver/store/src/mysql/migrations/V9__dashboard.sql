-- Twin of sqlite/migrations/V9__dashboard.sql; types as in V1. What keeps acts from being changed there is a trigger, which
-- needs rights here that a job server's account has no use for otherwise.
CREATE TABLE IF NOT EXISTS sessions (
    hash       VARCHAR(64) NOT NULL PRIMARY KEY CHECK (length(hash) = 64),
    token_hash VARCHAR(64) NOT NULL CHECK (length(token_hash) = 64),
    opened_at  BIGINT      NOT NULL,
    expires_at BIGINT      NOT NULL,
    INDEX sessions_by_end (expires_at),
    CONSTRAINT sessions_end_after_they_begin CHECK (expires_at > opened_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS acts (
    id      BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    done_at BIGINT       NOT NULL,
    done_by VARCHAR(255) NOT NULL CHECK (done_by <> ''),
    did     MEDIUMTEXT   NOT NULL CHECK (did <> ''),
    why     MEDIUMTEXT   NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS hours_of_work (
    -- The moment the hour began, in milliseconds since 1970 UTC.
    hour     BIGINT       NOT NULL CHECK (hour % 3600000 = 0),
    plugin   VARCHAR(255) NOT NULL CHECK (plugin <> ''),
    jobs     BIGINT       NOT NULL CHECK (jobs >= 0),
    records  BIGINT       NOT NULL CHECK (records >= 0),
    errors   BIGINT       NOT NULL,
    work_ms  BIGINT       NOT NULL CHECK (work_ms >= 0),
    failures BIGINT       NOT NULL CHECK (failures >= 0),
    PRIMARY KEY (hour, plugin),
    CONSTRAINT errors_of_an_hour_are_records CHECK (errors BETWEEN 0 AND records)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
