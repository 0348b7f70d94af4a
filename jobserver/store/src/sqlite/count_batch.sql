-- What a group of verbs changed in the counters of a batch; where it stands follows from them.
UPDATE batches
SET jobs_running     = jobs_running + :running,
    jobs_done        = jobs_done + :done,
    jobs_quarantined = jobs_quarantined + :quarantined,
    jobs_suspended   = jobs_suspended + :suspended,
    jobs_deleted     = jobs_deleted + :deleted,
    results          = results + :results,
    errors           = errors + :errors,
    judged_results   = judged_results + :judged_results,
    judged_errors    = judged_errors + :judged_errors,
    state            = CASE
                           WHEN jobs_done + :done = jobs THEN 'done'
                           WHEN jobs_done + :done + jobs_quarantined + :quarantined + jobs_deleted + :deleted = jobs
                               THEN 'incomplete'
                           ELSE 'open'
                       END,
    finished_at      = CASE
                           WHEN jobs_done + :done + jobs_quarantined + :quarantined + jobs_deleted + :deleted = jobs
                               THEN coalesce(finished_at, :now)
                       END
WHERE id = :batch
