-- The tables and views of a schema.
SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = ?
