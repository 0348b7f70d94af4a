INSERT INTO rollout_halts (release, ring, reason, halted_at) VALUES (:release, :ring, :reason, :now)
ON CONFLICT (release, ring) DO NOTHING
