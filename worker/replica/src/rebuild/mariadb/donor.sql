-- Who the server is, what it has, what its log holds of whom, and whether it can be followed.
SELECT @@GLOBAL.server_id, @@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_binlog_state, @@GLOBAL.log_bin
