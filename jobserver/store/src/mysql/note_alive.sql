-- Only if it is as it was read: of several servers that come back at the same time, one extends the leases. SQLite has
-- one server.
UPDATE server_life
SET last_alive = :now
WHERE id = 1 AND last_alive = :before
