-- What a MySQL server is and has. What is applied is read first: what is seen later can only be newer.
SELECT
  @@gtid_executed AS applied,
  @@gtid_mode AS gtid_mode,
  @@server_id AS server_id,
  @@server_uuid AS server_uuid,
  @@read_only AS read_only,
  @@replica_exec_mode AS exec_mode,
  @@replica_skip_errors AS skip_errors,
  @@replica_net_timeout AS net_timeout
