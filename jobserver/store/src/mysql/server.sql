-- What the server says of itself when the store is opened: new enough, and durable.
SELECT VERSION() AS version, DATABASE() AS `schema`, @@innodb_flush_log_at_trx_commit AS flush, @@log_bin AS log_bin,
       @@sync_binlog AS sync_binlog
