INSERT INTO batches (name, plugin, state, priority, requirements, columns, outputs, lease_ms, max_attempts, error_rate,
                     data_primary, data_gtid, data_noted, created_at)
VALUES (:name, :plugin, 'receiving', :priority, :requirements, :columns, :outputs, :lease_ms, :max_attempts, :error_rate,
        :data_primary, :data_gtid, :data_noted, :now)
