-- How many bytes the tables of a schema take, about; the server counts now and then.
SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS UNSIGNED) FROM information_schema.tables WHERE table_schema = ?
