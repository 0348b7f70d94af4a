DELETE FROM rollout_work WHERE release = :release
