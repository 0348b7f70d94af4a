-- Locked, so that a stop which another server raises anew meanwhile is raised after this.
SELECT id, scope, reason, stopped_by, stopped_at FROM stops ORDER BY id FOR UPDATE
