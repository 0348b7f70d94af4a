-- Waiting jobs that go out before one, whoever may take them. Named, since rows are read by the names of their columns
-- here; waiting_lane is NULL of jobs that do not wait.
SELECT count(*) AS ahead
FROM batches
JOIN lanes ON lanes.batch_id = batches.id
JOIN jobs ON jobs.waiting_lane = lanes.id
WHERE batches.state = 'open'
  AND batches.suspended IS NULL
  AND (lanes.priority > :priority
       OR (lanes.priority = :priority
           AND (lanes.batch_id < :batch OR (lanes.batch_id = :batch AND jobs.seq < :seq))))
