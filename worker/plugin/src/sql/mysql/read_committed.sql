-- What open.mysql.sql copies it reads without locks, so that it never stands in the way of replication.
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED
