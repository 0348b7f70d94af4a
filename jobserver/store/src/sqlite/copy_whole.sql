-- Everything that is committed at one instant, as a database of its own. Nobody waits for it.
VACUUM INTO ?1
