-- Silence is noticed within ten seconds, and the primary is tried again every second, for a year.
SET PERSIST replica_net_timeout = 10;
STOP REPLICA IO_THREAD;
CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD = 2, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 31536000;
START REPLICA IO_THREAD
