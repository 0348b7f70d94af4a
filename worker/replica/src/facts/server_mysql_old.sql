-- As server_mysql.sql, before MySQL 8.0.26, which calls what replicates a slave.
SELECT
  @@gtid_executed AS applied,
  @@gtid_mode AS gtid_mode,
  @@server_id AS server_id,
  @@server_uuid AS server_uuid,
  @@read_only AS read_only,
  @@slave_exec_mode AS exec_mode,
  @@slave_skip_errors AS skip_errors,
  @@slave_net_timeout AS net_timeout
