-- Whether somebody else made this database: it has tables, but not the one in which migrations are noted.
SELECT count(*) > 0 AND count(*) FILTER (WHERE name = 'refinery_schema_history') = 0
FROM sqlite_master
