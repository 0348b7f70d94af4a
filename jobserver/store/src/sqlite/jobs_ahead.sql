-- Waiting jobs that go out before one, whoever may take them. CROSS JOIN keeps the order: lanes of open batches, then
-- the waiting jobs of each.
SELECT count(*)
FROM batches
CROSS JOIN lanes ON lanes.batch_id = batches.id
CROSS JOIN jobs ON jobs.lane_id = lanes.id AND jobs.state = 'waiting'
WHERE batches.state = 'open'
  AND batches.suspended IS NULL
  AND (lanes.priority > :priority
       OR (lanes.priority = :priority
           AND (lanes.batch_id < :batch OR (lanes.batch_id = :batch AND jobs.seq < :seq))))
