-- The columns of pt-heartbeat's table, so that either can write and read it.
CREATE TABLE IF NOT EXISTS {heartbeat} (
    ts                    varchar(26)  NOT NULL,
    server_id             int unsigned NOT NULL PRIMARY KEY,
    file                  varchar(255) DEFAULT NULL,
    position              bigint unsigned DEFAULT NULL,
    relay_master_log_file varchar(255) DEFAULT NULL,
    exec_master_log_pos   bigint unsigned DEFAULT NULL
)
