-- What became of an attempt, when a commit was cut off.
SELECT state
FROM attempts
WHERE id = :attempt
