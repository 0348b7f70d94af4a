-- What verbs changed about a worker beyond what it did (credit_workers.sql).
UPDATE workers
SET name            = :name,
    plugins         = :plugins,
    memory_mb       = :memory_mb,
    disk_mb         = :disk_mb,
    tags            = :tags,
    drained         = :drained,
    failures_in_row = :failures_in_row,
    failing_job     = :failing_job,
    failing_since   = :failing_since
WHERE worker = :worker
