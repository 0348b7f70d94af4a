INSERT INTO batches (name, plugin, state, priority, requirements, columns, outputs, lease_ms, max_attempts, error_rate,
                     created_at)
VALUES (:name, :plugin, 'receiving', :priority, :requirements, :columns, :outputs, :lease_ms, :max_attempts, :error_rate,
        :now)
