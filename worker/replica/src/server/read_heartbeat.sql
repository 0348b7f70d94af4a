-- Whoever judges how old the data are reads the heartbeat. Part of what the server does before it answers.
GRANT SELECT ON {table} TO nightshift_reader@localhost;
