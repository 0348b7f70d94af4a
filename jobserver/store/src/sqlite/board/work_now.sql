-- From the batches' own counters: no job is looked at.
SELECT coalesce(sum(results), 0)                            AS results,
       coalesce(sum(state = 'open'), 0)                     AS open_batches,
       coalesce(sum(iif(state = 'open', records, 0)), 0)    AS open_records,
       coalesce(sum(iif(state = 'open', results, 0)), 0)    AS open_results
FROM batches
WHERE state <> 'receiving' AND state <> 'abandoned'
