-- Who may ask: tokens, workers that asked to join, the rules of joining, and whose a batch is.
--
-- Nothing secret is here: `hash` and `credential` are SHA-256 in hex of what their holders bring. Every row that servers
-- judge by carries the number of its last change, taken from access_changes in the transaction that made it.

CREATE TABLE access_changes (
    number INTEGER NOT NULL CHECK (number >= 0)
) STRICT;

INSERT INTO access_changes (number) VALUES (0);

CREATE TABLE tokens (
    name       TEXT    PRIMARY KEY CHECK (name <> ''),
    role       TEXT    NOT NULL CHECK (role IN ('viewer', 'owner', 'operator', 'admin', 'join')),
    hash       TEXT    NOT NULL UNIQUE CHECK (length(hash) = 64),
    network    TEXT,
    -- Of a join token: so many workers may ask with it, and so many have.
    join_limit INTEGER CHECK (join_limit > 0),
    uses       INTEGER NOT NULL DEFAULT 0 CHECK (uses >= 0),
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used  INTEGER,
    changed    INTEGER NOT NULL,
    CHECK (uses <= join_limit),
    CHECK (role = 'join' OR (join_limit IS NULL AND uses = 0))
) STRICT;

CREATE INDEX tokens_by_change ON tokens (changed);

CREATE TABLE enrolments (
    worker     TEXT    PRIMARY KEY CHECK (worker <> ''),
    name       TEXT    NOT NULL,
    host       TEXT    NOT NULL,
    -- The fingerprint of the machine it was let in on.
    machine    TEXT    NOT NULL,
    credential TEXT    NOT NULL UNIQUE CHECK (length(credential) = 64),
    address    TEXT    NOT NULL,
    asked_at   INTEGER NOT NULL,
    join_token TEXT    NOT NULL REFERENCES tokens (name),
    state      TEXT    NOT NULL CHECK (state IN ('pending', 'approved', 'refused', 'revoked')),
    reason     TEXT    NOT NULL,
    decided_at INTEGER,
    decided_by TEXT,
    changed    INTEGER NOT NULL,
    CHECK ((decided_at IS NULL) = (state = 'pending')),
    CHECK ((decided_by IS NULL) = (decided_at IS NULL))
) STRICT;

CREATE INDEX enrolments_by_change ON enrolments (changed);

CREATE TABLE join_rules (
    name       TEXT    PRIMARY KEY CHECK (name <> ''),
    network    TEXT    NOT NULL,
    join_limit INTEGER NOT NULL CHECK (join_limit > 0),
    approved   INTEGER NOT NULL CHECK (approved BETWEEN 0 AND join_limit),
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL
) STRICT;

-- A batch that is not here is nobody's: operators and admins see it. Its number is never used again, so a line that
-- outlives its batch is about nothing.
CREATE TABLE batch_owners (
    batch_id INTEGER PRIMARY KEY,
    owner    TEXT    NOT NULL CHECK (owner <> '')
) STRICT;

CREATE INDEX batches_of_owner ON batch_owners (owner, batch_id);
