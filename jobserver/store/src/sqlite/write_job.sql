-- A job as a group of verbs left it: the only statement that changes where a job stands, but for seal_jobs.sql. Nobody
-- else writes between reading it and this.
UPDATE jobs
SET state       = :state,
    reason      = :reason,
    revision    = :revision,
    errors      = :errors,
    pickups     = :pickups,
    failures    = :failures,
    losses      = :losses,
    not_before  = :not_before,
    attempt_id  = :attempt,
    worker      = :worker,
    started_at  = :started_at,
    finished_at = :finished_at
WHERE id = :job
