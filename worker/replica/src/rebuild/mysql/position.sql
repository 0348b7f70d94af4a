-- Tells the server how far the data of a dump are. A clone knows it by itself.
RESET BINARY LOGS AND GTIDS;
SET GLOBAL gtid_purged = {position};
