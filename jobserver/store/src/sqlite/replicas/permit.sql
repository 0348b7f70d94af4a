INSERT INTO rebuilds (worker, reason, started_at, until) VALUES (:worker, :reason, :now, :until)
ON CONFLICT (worker) DO UPDATE SET reason = :reason, until = :until
