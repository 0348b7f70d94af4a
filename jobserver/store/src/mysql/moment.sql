-- The database's clock in milliseconds since 1970 UTC: the one clock that workers share which use the store directly. A job
-- server has a clock of its own, and so SQLite needs no such query.
SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS moment
