-- Waits for a position of the primary that is copied: 0 when it is reached, -1 when the time is over.
SELECT MASTER_GTID_WAIT('@POSITION@', @SECONDS@)
