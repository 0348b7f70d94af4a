-- Twin of sqlite/migrations/V6__replicas.sql; types as in V1.
CREATE TABLE IF NOT EXISTS batch_repins (
    id           BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    batch_id     BIGINT       NOT NULL,
    repinned_at  BIGINT       NOT NULL,
    from_primary VARCHAR(255) NOT NULL CHECK (from_primary <> ''),
    from_gtid    MEDIUMTEXT   NOT NULL,
    from_noted   BIGINT       NOT NULL,
    to_primary   VARCHAR(255) NOT NULL CHECK (to_primary <> ''),
    to_gtid      MEDIUMTEXT   NOT NULL,
    to_noted     BIGINT       NOT NULL,
    jobs_done    BIGINT       NOT NULL CHECK (jobs_done >= 0),
    INDEX repins_of_batch (batch_id),
    CONSTRAINT repins_are_of_a_batch FOREIGN KEY (batch_id) REFERENCES batches (id) ON DELETE CASCADE,
    CHECK (from_primary <> to_primary)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Which workers build their replicas anew just now: permits, each until its lease is over.
CREATE TABLE IF NOT EXISTS rebuilds (
    worker     VARCHAR(255) NOT NULL PRIMARY KEY CHECK (worker <> ''),
    reason     MEDIUMTEXT   NOT NULL,
    started_at BIGINT       NOT NULL,
    until      BIGINT       NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row, locked by whoever gives a permit: servers give them one after the other.
CREATE TABLE IF NOT EXISTS rebuild_turn (
    id     TINYINT NOT NULL PRIMARY KEY CHECK (id = 1),
    number BIGINT  NOT NULL CHECK (number >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO rebuild_turn (id, number) VALUES (1, 0);
