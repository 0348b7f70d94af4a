SELECT @@server_id AS server_id, @@server_uuid AS uuid, @@gtid_executed AS gtid, @@log_bin AS binlog,
       @@gtid_mode AS gtid_mode, concat(@@read_only) AS read_only
