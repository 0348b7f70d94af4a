-- Twin of sqlite/migrations/V3__batch_keys.sql; types as in V1.
CREATE TABLE IF NOT EXISTS batch_inputs (
    batch_id   BIGINT       NOT NULL PRIMARY KEY,
    -- The key is what makes a second batch of one hand-in impossible.
    owner_key  VARCHAR(255) CHECK (owner_key <> ''),
    -- SHA-256 of the bytes handed in, unpacked.
    digest     CHAR(64)     NOT NULL CHECK (CHAR_LENGTH(digest) = 64),
    bytes      BIGINT       NOT NULL CHECK (bytes >= 0),
    -- What was asked for with them, as a JSON object.
    parameters MEDIUMTEXT   NOT NULL CHECK (JSON_VALID(parameters)),
    UNIQUE INDEX one_batch_of_a_key (owner_key),
    CONSTRAINT inputs_are_of_a_batch FOREIGN KEY (batch_id) REFERENCES batches (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
