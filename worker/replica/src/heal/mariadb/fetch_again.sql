-- Throws away the relay logs; what is applied stands in the data (gtid_slave_pos), and the rest is fetched again.
STOP SLAVE;
RESET SLAVE;
START SLAVE
