-- What each batch was made of: written before it is sealed, gone with it when its hand-in breaks off.
CREATE TABLE batch_inputs (
    batch_id   INTEGER PRIMARY KEY REFERENCES batches (id) ON DELETE CASCADE,
    -- The key is what makes a second batch of one hand-in impossible.
    owner_key  TEXT    UNIQUE CHECK (owner_key <> ''),
    -- SHA-256 of the bytes handed in, unpacked.
    digest     TEXT    NOT NULL CHECK (length(digest) = 64),
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),
    -- What was asked for with them, as a JSON object.
    parameters TEXT    NOT NULL CHECK (json_type(parameters) = 'object')
) STRICT;
