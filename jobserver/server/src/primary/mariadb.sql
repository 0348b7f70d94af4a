-- What counts is what its next connections write into the log.
SELECT @@global.server_id AS server_id, @@gtid_binlog_pos AS gtid, @@log_bin AS binlog, concat(@@read_only) AS read_only
