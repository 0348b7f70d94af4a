-- The row, or the place where it would be, is locked: another server that notes the same name waits.
SELECT recorded_at FROM baselines WHERE name = :name FOR UPDATE
