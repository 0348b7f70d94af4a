-- With its number, taken before (take_numbers.sql), and the server that takes it in.
INSERT INTO batches (id, name, plugin, state, receiver, priority, requirements, columns, outputs, lease_ms, max_attempts,
                     error_rate, data_primary, data_gtid, data_noted, created_at)
VALUES (:batch, :name, :plugin, 'receiving', :receiver, :priority, :requirements, :columns, :outputs, :lease_ms,
        :max_attempts, :error_rate, :data_primary, :data_gtid, :data_noted, :now)
