INSERT INTO stops (scope, reason, stopped_by, stopped_at) VALUES (:scope, :reason, :by, :now)
ON CONFLICT (scope) DO UPDATE SET reason = excluded.reason, stopped_by = excluded.stopped_by, stopped_at = excluded.stopped_at
