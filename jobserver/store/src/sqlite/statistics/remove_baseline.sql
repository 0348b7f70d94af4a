DELETE FROM baselines WHERE name = :name
