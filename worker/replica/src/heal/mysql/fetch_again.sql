-- Throws away the relay logs; what is applied stands in the data (gtid_executed), and the rest is fetched again.
STOP REPLICA;
RESET REPLICA;
START REPLICA
