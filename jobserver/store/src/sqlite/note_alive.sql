INSERT INTO server_life (id, last_alive)
VALUES (1, :now)
ON CONFLICT (id) DO UPDATE SET last_alive = :now
