-- Another server may have made it meanwhile; lane_like.sql is asked again.
INSERT IGNORE INTO lanes (batch_id, plugin, priority, requirements)
VALUES (:batch, :plugin, :priority, :requirements)
