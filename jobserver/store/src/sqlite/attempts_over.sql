-- Running attempts whose lease is over, the longest first.
SELECT id
FROM attempts
WHERE state = 'running' AND lease_until <= :now
ORDER BY lease_until
LIMIT :limit
