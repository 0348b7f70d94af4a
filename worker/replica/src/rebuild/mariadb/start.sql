-- Has the server copy its primary.
START SLAVE;
