-- From the batches' own counters: no job is looked at.
SELECT coalesce(sum(jobs - jobs_done - jobs_running - jobs_quarantined), 0) AS waiting,
       coalesce(sum(jobs_running), 0)                                       AS running,
       coalesce(sum(jobs_done), 0)                                          AS done,
       coalesce(sum(jobs_quarantined), 0)                                   AS quarantined
FROM batches
WHERE state NOT IN ('receiving', 'abandoned')
