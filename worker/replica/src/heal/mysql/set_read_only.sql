-- Takes no writes but those of replication, also after its next start.
SET PERSIST super_read_only = ON
