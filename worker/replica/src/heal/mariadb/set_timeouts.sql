-- Silence is noticed within ten seconds, and the primary is tried again every second. MariaDB takes that only while both
-- threads stand still; how often it tries is a setting of its start (master_retry_count, 100,000 times).
SET GLOBAL slave_net_timeout = 10;
STOP SLAVE;
CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD = 2, MASTER_CONNECT_RETRY = 1;
START SLAVE
