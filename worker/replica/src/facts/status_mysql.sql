-- How replication is doing: one row for each channel. MySQL knows no other name of it since 8.4.
SHOW REPLICA STATUS
