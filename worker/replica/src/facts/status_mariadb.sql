-- How replication is doing: one row for each connection to a primary.
SHOW ALL SLAVES STATUS
