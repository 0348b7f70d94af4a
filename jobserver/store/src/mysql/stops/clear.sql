-- SQLite has one server and takes all away at once; here another may raise one meanwhile, which stays.
DELETE FROM stops WHERE id = :id
