-- After this server's clock went back: no lease reaches further than its own length from now. Only running attempts have
-- a lease; :now in front leads to them by the index on lease_until, which the hint insists on.
UPDATE attempts FORCE INDEX (attempts_by_lease)
SET lease_until = :now + lease_ms
WHERE lease_until > :now AND lease_until > :now + lease_ms
