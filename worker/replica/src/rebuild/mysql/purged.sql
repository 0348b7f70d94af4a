-- What is in no binary log of the server any more.
SELECT @@GLOBAL.gtid_purged
