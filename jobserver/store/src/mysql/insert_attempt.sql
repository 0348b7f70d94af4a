INSERT INTO attempts (job_id, secret, worker, revision, `release`, release_commit, state, lease_ms, lease_until,
                      started_at)
VALUES (:job, :secret, :worker, :revision, :release, :commit, 'running', :lease_ms, :lease_until, :now)
