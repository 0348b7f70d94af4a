-- The only statement that changes where a job stands (but for seal_jobs.sql). It changes the job only as it was when
-- the rules were asked: compare and set, which is what keeps several servers right. `<=>` is SQLite's IS.
UPDATE jobs
SET state       = :to,
    reason      = :reason,
    attempt_id  = :attempt,
    worker      = :worker,
    pickups     = pickups + :pickups,
    failures    = failures + :failures,
    started_at  = coalesce(:started_at, started_at),
    finished_at = :finished_at
WHERE id = :job AND state = :from AND revision = :revision AND attempt_id <=> :held_by
