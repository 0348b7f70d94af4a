INSERT INTO batches (name, plugin, state, priority, columns, outputs, lease_ms, max_attempts, created_at)
VALUES (:name, :plugin, 'receiving', :priority, :columns, :outputs, :lease_ms, :max_attempts, :now)
