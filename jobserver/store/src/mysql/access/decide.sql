UPDATE enrolments
SET state      = :state,
    name       = :name,
    reason     = :reason,
    decided_at = :now,
    decided_by = :by,
    changed    = (SELECT number FROM access_changes)
WHERE worker = :worker
