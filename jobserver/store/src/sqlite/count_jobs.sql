-- From the batches' own counters: no job is looked at.
SELECT coalesce(sum(jobs - jobs_done - jobs_running - jobs_quarantined - jobs_suspended - jobs_deleted), 0) AS waiting,
       coalesce(sum(jobs_running), 0)                                                                       AS running,
       coalesce(sum(jobs_done), 0)                                                                          AS done,
       coalesce(sum(jobs_quarantined), 0)                                                                   AS quarantined,
       coalesce(sum(jobs_suspended), 0)                                                                     AS suspended,
       coalesce(sum(jobs_deleted), 0)                                                                       AS deleted
FROM batches
WHERE state NOT IN ('receiving', 'abandoned')
