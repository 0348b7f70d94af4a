-- Tells the server where its data come from and how far they are. Reached by threads that nobody started yet.
STOP SLAVE;
RESET SLAVE ALL;
SET GLOBAL gtid_slave_pos = {position};
CHANGE MASTER TO MASTER_HOST = {host}, MASTER_PORT = {port}, MASTER_USER = {user}, MASTER_PASSWORD = {password},
  MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 3,
  MASTER_SSL = {ssl}, MASTER_SSL_CA = {authority}, MASTER_SSL_VERIFY_SERVER_CERT = {verify};
