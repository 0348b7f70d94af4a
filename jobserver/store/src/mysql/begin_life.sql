-- The first sign of life ever; SQLite's note_alive.sql does both.
INSERT IGNORE INTO server_life (id, last_alive)
VALUES (1, :now)
