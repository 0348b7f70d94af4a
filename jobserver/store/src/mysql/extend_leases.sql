-- No server was there to hear a sign of life: every running lease is longer by that time. Only running attempts have one.
UPDATE attempts
SET lease_until = lease_until + :gap
WHERE lease_until IS NOT NULL
