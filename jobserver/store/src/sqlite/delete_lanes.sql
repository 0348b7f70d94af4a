-- Of a batch that is being removed and of no other: it may have been sealed since somebody took its hand-in for broken off.
DELETE FROM lanes
WHERE batch_id = :batch AND EXISTS (SELECT 1 FROM batches WHERE id = :batch AND state = 'abandoned')
