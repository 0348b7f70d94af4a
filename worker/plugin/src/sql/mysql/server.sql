-- What kind of server this is, as whom it knows us, and the longest packet it takes.
SELECT VERSION(), CURRENT_USER(), @@max_allowed_packet, @@collation_connection
