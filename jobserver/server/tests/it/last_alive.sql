-- When a server was last alive.
SELECT last_alive FROM server_life WHERE id = 1
