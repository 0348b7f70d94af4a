-- The last migration, for workers that use the store directly: they never change the tables, and so SQLite needs no such
-- query.
SELECT CAST(COALESCE(MAX(version), 0) AS SIGNED) AS version FROM refinery_schema_history
