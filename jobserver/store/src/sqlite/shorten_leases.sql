-- After the clock went back: no lease reaches further than its own length from now.
UPDATE attempts
SET lease_until = :now + lease_ms
WHERE state = 'running' AND lease_until > :now AND lease_until > :now + lease_ms
