-- What a job's move changes in its batch; the last one that leaves nothing to do finishes it.
UPDATE batches
SET jobs_running     = jobs_running + :running,
    jobs_done        = jobs_done + :done,
    jobs_quarantined = jobs_quarantined + :quarantined,
    results          = results + :results,
    errors           = errors + :errors,
    state            = CASE
                           WHEN jobs_done + :done = jobs THEN 'done'
                           WHEN jobs_done + :done + jobs_quarantined + :quarantined = jobs THEN 'incomplete'
                           ELSE 'open'
                       END,
    finished_at      = CASE
                           WHEN jobs_done + :done + jobs_quarantined + :quarantined = jobs THEN :now
                       END
WHERE id = :batch
