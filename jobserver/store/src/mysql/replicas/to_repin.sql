-- Batches that are not over for good and have a position of another primary.
SELECT id, data_primary, data_gtid, data_noted, jobs_done
FROM batches
WHERE state IN ('receiving', 'open', 'incomplete') AND data_primary <> :primary
ORDER BY id
