-- What the binary log holds; nothing where a version has no such setting.
SHOW GLOBAL VARIABLES LIKE 'binlog_format'
