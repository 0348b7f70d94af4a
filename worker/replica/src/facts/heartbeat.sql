-- Who wrote last when, as pt-heartbeat keeps it; the table's name comes from the configuration.
SELECT server_id, ts FROM @TABLE@
