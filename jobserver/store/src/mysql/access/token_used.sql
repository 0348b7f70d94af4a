UPDATE tokens
SET last_used = :moment
WHERE name = :name AND (last_used IS NULL OR last_used < :moment)
