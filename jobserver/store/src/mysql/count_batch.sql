-- What a group of verbs changed in the counters of a batch; where it stands follows from them. state and finished_at come
-- first: in SET, MySQL shows later assignments what earlier ones wrote, SQLite shows all of them the old row.
UPDATE batches
SET state            = CASE
                           WHEN jobs_done + :done = jobs THEN 'done'
                           WHEN jobs_done + :done + jobs_quarantined + :quarantined + jobs_deleted + :deleted = jobs
                               THEN 'incomplete'
                           ELSE 'open'
                       END,
    finished_at      = CASE
                           WHEN jobs_done + :done + jobs_quarantined + :quarantined + jobs_deleted + :deleted = jobs
                               THEN coalesce(finished_at, :now)
                       END,
    jobs_running     = jobs_running + :running,
    jobs_done        = jobs_done + :done,
    jobs_quarantined = jobs_quarantined + :quarantined,
    jobs_suspended   = jobs_suspended + :suspended,
    jobs_deleted     = jobs_deleted + :deleted,
    results          = results + :results,
    errors           = errors + :errors,
    judged_results   = greatest(judged_results + :judged_results, 0),
    judged_errors    = least(greatest(judged_errors + :judged_errors, 0), judged_results)
WHERE id = :batch AND state IN ('open', 'done', 'incomplete')
