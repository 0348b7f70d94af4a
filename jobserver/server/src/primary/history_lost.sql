-- Transactions that the server had are gone; that holds until it has another identity.
UPDATE {heartbeat} SET relay_master_log_file = 'history lost' WHERE server_id = @@global.server_id
