-- No server was there to hear a sign of life: every running lease is longer by that time.
UPDATE attempts
SET lease_until = lease_until + :gap
WHERE state = 'running'
