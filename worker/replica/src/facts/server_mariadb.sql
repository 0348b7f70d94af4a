-- What a MariaDB server is and has. What is applied is read first: what is seen later can only be newer. In other formats than
-- ROW its own binary log also holds the temporary tables of whoever reads: nothing can be told from it then.
SELECT
  @@gtid_slave_pos AS applied,
  IF(@@binlog_format = 'ROW', @@gtid_binlog_state, '') AS logged,
  'ON' AS gtid_mode,
  @@server_id AS server_id,
  NULL AS server_uuid,
  @@read_only AS read_only,
  @@slave_exec_mode AS exec_mode,
  @@slave_skip_errors AS skip_errors,
  @@slave_net_timeout AS net_timeout
