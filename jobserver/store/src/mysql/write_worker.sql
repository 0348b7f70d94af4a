-- What verbs changed about a worker beyond what it did (credit_workers.sql) and how it fails (write_streak.sql). Workers are read without a lock, so of each only
-- the columns that a verb changed are written (rows.rs): what another server, or a person there, wrote meanwhile stays. SQLite
-- has nobody else.
UPDATE workers FORCE INDEX (PRIMARY)
SET
    name = ?,
    plugins = ?,
    memory_mb = ?,
    disk_mb = ?,
    tags = ?,
    drained = ?
WHERE worker IN (?)
