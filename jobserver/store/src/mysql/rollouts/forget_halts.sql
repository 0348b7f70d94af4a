DELETE FROM rollout_halts WHERE `release` = :release
