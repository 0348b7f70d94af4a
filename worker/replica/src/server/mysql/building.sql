-- Before the server answers, while it is filled: nobody but the keeper gets at it. A clone has the donor's accounts.
DROP USER IF EXISTS root@localhost;
DROP USER IF EXISTS nightshift_reader@localhost;
CREATE USER IF NOT EXISTS nightshift_keeper@localhost;
ALTER USER nightshift_keeper@localhost IDENTIFIED BY {keeper};
GRANT ALL PRIVILEGES ON *.* TO nightshift_keeper@localhost WITH GRANT OPTION;
