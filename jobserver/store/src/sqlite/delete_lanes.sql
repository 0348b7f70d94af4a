DELETE FROM lanes
WHERE batch_id = :batch
