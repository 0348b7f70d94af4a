SELECT id, batch_id, plugin, priority, requirements
FROM lanes
WHERE id = :lane
