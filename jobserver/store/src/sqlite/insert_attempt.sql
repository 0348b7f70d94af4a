INSERT INTO attempts (id, job_id, secret, worker, revision, release, release_commit, state, reason, lease_ms, lease_until,
                      records_done, work_ms, started_at, ended_at)
VALUES (:attempt, :job, :secret, :worker, :revision, :release, :commit, :state, :reason, :lease_ms, :lease_until,
        :records_done, :work_ms, :started_at, :ended_at)
