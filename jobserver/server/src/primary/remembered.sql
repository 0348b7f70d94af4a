-- What beat.sql wrote last on this server, and whether history_lost.sql did.
SELECT file, position, COALESCE(relay_master_log_file = 'history lost', 0) AS history_lost
FROM {heartbeat} WHERE server_id = @@global.server_id
