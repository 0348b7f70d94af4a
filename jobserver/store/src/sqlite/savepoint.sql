-- The beginning of a verb in its group's transaction.
SAVEPOINT verb
