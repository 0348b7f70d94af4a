DELETE FROM join_rules
WHERE name = :name
