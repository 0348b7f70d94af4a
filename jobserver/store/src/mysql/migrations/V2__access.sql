-- Who may ask, twin of sqlite/migrations/V2__access.sql: same tables, same columns, same rules. What differs:
-- - Every statement can be run again, since MySQL commits after each CREATE TABLE: IF NOT EXISTS, and the one row of
--   access_changes has a key of its own.
-- - Text that is compared is VARCHAR in a binary collation; all other text is MEDIUMTEXT.

CREATE TABLE IF NOT EXISTS access_changes (
    id     TINYINT NOT NULL PRIMARY KEY CHECK (id = 1),
    number BIGINT  NOT NULL CHECK (number >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO access_changes (id, number) VALUES (1, 0);

CREATE TABLE IF NOT EXISTS tokens (
    name       VARCHAR(255) NOT NULL PRIMARY KEY CHECK (name <> ''),
    role       VARCHAR(16)  NOT NULL CHECK (role IN ('viewer', 'owner', 'operator', 'admin', 'join')),
    hash       VARCHAR(64)  NOT NULL CHECK (length(hash) = 64),
    network    VARCHAR(64),
    join_limit BIGINT       CHECK (join_limit > 0),
    uses       BIGINT       NOT NULL DEFAULT 0 CHECK (uses >= 0),
    created_at BIGINT       NOT NULL,
    created_by VARCHAR(255) NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used  BIGINT,
    changed    BIGINT       NOT NULL,
    UNIQUE INDEX tokens_by_hash (hash),
    INDEX tokens_by_change (changed),
    CHECK (uses <= join_limit),
    CHECK (role = 'join' OR (join_limit IS NULL AND uses = 0))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS enrolments (
    worker     VARCHAR(255) NOT NULL PRIMARY KEY CHECK (worker <> ''),
    name       MEDIUMTEXT   NOT NULL,
    host       MEDIUMTEXT   NOT NULL,
    machine    MEDIUMTEXT   NOT NULL,
    credential VARCHAR(64)  NOT NULL CHECK (length(credential) = 64),
    address    VARCHAR(64)  NOT NULL,
    asked_at   BIGINT       NOT NULL,
    join_token VARCHAR(255) NOT NULL,
    state      VARCHAR(16)  NOT NULL CHECK (state IN ('pending', 'approved', 'refused', 'revoked')),
    reason     MEDIUMTEXT   NOT NULL,
    decided_at BIGINT,
    decided_by VARCHAR(255),
    changed    BIGINT       NOT NULL,
    UNIQUE INDEX enrolments_by_credential (credential),
    INDEX enrolments_by_change (changed),
    CONSTRAINT enrolments_have_a_token FOREIGN KEY (join_token) REFERENCES tokens (name),
    CHECK ((decided_at IS NULL) = (state = 'pending')),
    CHECK ((decided_by IS NULL) = (decided_at IS NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS join_rules (
    name       VARCHAR(255) NOT NULL PRIMARY KEY CHECK (name <> ''),
    network    VARCHAR(64)  NOT NULL,
    join_limit BIGINT       NOT NULL CHECK (join_limit > 0),
    approved   BIGINT       NOT NULL,
    expires_at BIGINT       NOT NULL,
    created_at BIGINT       NOT NULL,
    created_by VARCHAR(255) NOT NULL,
    CHECK (approved BETWEEN 0 AND join_limit)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS batch_owners (
    batch_id BIGINT       NOT NULL PRIMARY KEY,
    owner    VARCHAR(255) NOT NULL CHECK (owner <> ''),
    INDEX batches_of_owner (owner, batch_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
