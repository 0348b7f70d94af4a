-- 1 when this connection has the named lock now, 0 when somebody else kept it for so many seconds. The lock goes with the
-- connection, whatever becomes of the program that made it.
SELECT GET_LOCK(:name, :seconds) AS taken
