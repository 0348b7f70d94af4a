-- Of a batch that is gone and of no other: it may have been sealed since somebody took its hand-in for broken off.
DELETE FROM batch_owners
WHERE batch_id = :batch AND NOT EXISTS (SELECT 1 FROM batches WHERE id = :batch)
