-- The accounts that a fresh data folder has: all but the server's own and the keeper.
SELECT user, host FROM mysql.user WHERE user NOT IN ('mariadb.sys', 'nightshift_keeper') AND is_role = 'N'
