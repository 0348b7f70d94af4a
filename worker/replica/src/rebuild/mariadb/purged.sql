-- The position at which a binary log begins, behind the four bytes that every log begins with.
SELECT BINLOG_GTID_POS(?, 4)
