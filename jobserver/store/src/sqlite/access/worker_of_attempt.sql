SELECT worker
FROM attempts
WHERE id = :attempt
