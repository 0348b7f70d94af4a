UPDATE join_rules
SET approved = approved + 1
WHERE name = :name
