-- Plugins read a schema that is copied. Part of what the server does before it answers.
GRANT SELECT, SHOW VIEW ON {schema}.* TO nightshift_reader@localhost;
