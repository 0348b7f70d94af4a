SELECT id, batch_id, plugin, priority, requirements
FROM lanes
WHERE batch_id = :batch AND plugin = :plugin AND priority = :priority AND requirements = :requirements
