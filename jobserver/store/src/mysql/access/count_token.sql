UPDATE tokens
SET uses    = uses + 1,
    changed = (SELECT number FROM access_changes)
WHERE name = :name
