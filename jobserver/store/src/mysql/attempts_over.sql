-- Running attempts whose lease is over, the longest first. Only these have a lease at all. They are locked, so that a
-- heartbeat cannot renew one between this look and its end; those another server has in hand are left to it.
SELECT id
FROM attempts
WHERE lease_until <= :now
ORDER BY lease_until
LIMIT :limit
FOR UPDATE SKIP LOCKED
