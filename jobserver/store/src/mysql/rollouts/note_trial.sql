INSERT INTO rollout_trials (`release`, worker, ring, state, samples_passed, samples_failed, reported_at)
VALUES (:release, :worker, :ring, :state, :samples_passed, :samples_failed, :now)
ON DUPLICATE KEY UPDATE
    ring = :ring, state = :state, samples_passed = :samples_passed, samples_failed = :samples_failed, reported_at = :now
