-- A worker asked for something that has not reported about itself yet.
INSERT INTO workers (worker, host, state, reason, release, refused, steps, address, plugins, memory_mb, disk_mb, tags,
                     drained, name, failures_in_row, failing_job, failing_since, first_seen, last_seen, jobs_done,
                     records_done)
VALUES (:worker, '', 'working', 'it has not reported about itself yet', '', '[]', '[]', '', :plugins, :memory_mb, :disk_mb,
        :tags, :drained, :name, :failures_in_row, :failing_job, :failing_since, :first_seen, :last_seen, :jobs_done,
        :records_done)
