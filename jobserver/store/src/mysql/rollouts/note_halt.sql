-- SQLite says DO NOTHING; INSERT IGNORE would also pass over what is no duplicate.
INSERT INTO rollout_halts (`release`, ring, reason, halted_at) VALUES (:release, :ring, :reason, :now)
ON DUPLICATE KEY UPDATE reason = reason
