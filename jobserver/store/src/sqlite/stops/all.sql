SELECT id, scope, reason, stopped_by, stopped_at FROM stops ORDER BY id
