-- The accounts that a clone brought along: all but the server's own and the keeper.
SELECT user, host FROM mysql.user
WHERE user NOT IN ('mysql.infoschema', 'mysql.session', 'mysql.sys', 'nightshift_keeper')
