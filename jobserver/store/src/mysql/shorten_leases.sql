-- After this server's clock went back: no lease reaches further than its own length from now. Only running attempts have
-- a lease; the hint insists on the index that has only them.
UPDATE attempts FORCE INDEX (attempts_running)
SET lease_until = :now + lease_ms
WHERE runs_on IS NOT NULL AND lease_until > :now + lease_ms
