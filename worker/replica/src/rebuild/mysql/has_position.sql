-- Whether the server has everything that the donor had when cloning began.
SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed)
