-- Twin of sqlite/migrations/V7__samples.sql; types as in V1.
CREATE TABLE IF NOT EXISTS job_samples (
    plugin  VARCHAR(255) NOT NULL PRIMARY KEY CHECK (plugin <> ''),
    records BIGINT       NOT NULL CHECK (records > 0),
    work_ms BIGINT       NOT NULL CHECK (work_ms >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
