-- What the verb wrote stays.
RELEASE verb
