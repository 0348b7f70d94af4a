-- Before the server answers, while it follows: the account that plugins read by has exactly these rights and those to read
-- what is copied.
CREATE DATABASE IF NOT EXISTS nightshift_scratch;
CREATE USER nightshift_reader@localhost IDENTIFIED BY {reader};
GRANT REPLICATION CLIENT ON *.* TO nightshift_reader@localhost;
GRANT CREATE TEMPORARY TABLES ON nightshift_scratch.* TO nightshift_reader@localhost;
