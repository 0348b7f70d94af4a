-- Takes no writes but those of replication and of administrators.
SET GLOBAL read_only = ON
