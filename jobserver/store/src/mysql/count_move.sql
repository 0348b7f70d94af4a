-- What moves of jobs change in their batch; the last one that leaves nothing to do finishes it. state and finished_at
-- come first: in SET, MySQL shows later assignments what earlier ones wrote, SQLite shows all of them the old row.
UPDATE batches
SET state            = CASE
                           WHEN jobs_done + :done = jobs THEN 'done'
                           WHEN jobs_done + :done + jobs_quarantined + :quarantined = jobs THEN 'incomplete'
                           ELSE 'open'
                       END,
    finished_at      = CASE
                           WHEN jobs_done + :done + jobs_quarantined + :quarantined = jobs THEN :now
                       END,
    jobs_running     = jobs_running + :running,
    jobs_done        = jobs_done + :done,
    jobs_quarantined = jobs_quarantined + :quarantined,
    results          = results + :results,
    errors           = errors + :errors
WHERE id = :batch
