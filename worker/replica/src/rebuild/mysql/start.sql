-- Has the server copy its primary.
START REPLICA;
