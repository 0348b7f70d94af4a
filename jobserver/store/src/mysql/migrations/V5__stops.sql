-- Twin of sqlite/migrations/V5__stops.sql; types as in V1.
CREATE TABLE IF NOT EXISTS stops (
    id         BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    -- What it stops, as a JSON object; {} is everything. Raised again, it is the same stop.
    scope      VARCHAR(500) NOT NULL CHECK (JSON_VALID(scope)),
    reason     VARCHAR(1000) NOT NULL,
    stopped_by VARCHAR(255) NOT NULL,
    -- Milliseconds since 1970 UTC.
    stopped_at BIGINT       NOT NULL,
    UNIQUE INDEX one_stop_of_a_scope (scope)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
