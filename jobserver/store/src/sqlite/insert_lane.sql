INSERT INTO lanes (batch_id, plugin, priority, requirements)
VALUES (:batch, :plugin, :priority, :requirements)
