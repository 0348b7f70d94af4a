-- The attempt of a claim whose commit was cut off: its secret was made for that claim alone.
SELECT id, job_id, lease_ms
FROM attempts
WHERE state = 'running' AND worker = :worker AND secret = :secret
