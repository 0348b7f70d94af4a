-- What the verb wrote is undone; the savepoint itself is still there.
ROLLBACK TO verb
