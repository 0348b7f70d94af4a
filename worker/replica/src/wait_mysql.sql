-- Waits for a set of transactions: 0 when all of them are applied, 1 when the time is over.
SELECT WAIT_FOR_EXECUTED_GTID_SET('@POSITION@', @SECONDS@)
