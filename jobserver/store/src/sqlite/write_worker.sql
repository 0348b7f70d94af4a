-- A worker as a group of verbs left it.
UPDATE workers
SET name            = :name,
    plugins         = :plugins,
    memory_mb       = :memory_mb,
    disk_mb         = :disk_mb,
    tags            = :tags,
    drained         = :drained,
    failures_in_row = :failures_in_row,
    failing_job     = :failing_job,
    failing_since   = :failing_since,
    last_seen       = :last_seen,
    jobs_done       = :jobs_done,
    records_done    = :records_done
WHERE worker = :worker
