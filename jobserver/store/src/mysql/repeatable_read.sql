-- Of connections that only read: all statements of a look see one moment.
SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
