DELETE FROM rollout_trials WHERE release = :release
