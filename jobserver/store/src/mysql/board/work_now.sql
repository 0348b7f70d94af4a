-- From the batches' own counters: no job is looked at. Sums are cast: MySQL's are decimals.
SELECT CAST(coalesce(sum(results), 0) AS UNSIGNED)                         AS results,
       CAST(coalesce(sum(state = 'open'), 0) AS UNSIGNED)                  AS open_batches,
       CAST(coalesce(sum(if(state = 'open', records, 0)), 0) AS UNSIGNED)  AS open_records,
       CAST(coalesce(sum(if(state = 'open', results, 0)), 0) AS UNSIGNED)  AS open_results
FROM batches
WHERE state <> 'receiving' AND state <> 'abandoned'
