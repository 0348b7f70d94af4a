SELECT batch_id
FROM batch_owners
WHERE owner = :owner
ORDER BY batch_id DESC
LIMIT :limit
