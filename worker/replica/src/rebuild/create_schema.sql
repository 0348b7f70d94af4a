-- The schema of the heartbeat's table, which is not copied as a whole.
CREATE DATABASE IF NOT EXISTS {schema}
