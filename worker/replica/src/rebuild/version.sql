-- What kind of server this is.
SELECT VERSION()
