-- No server was there to hear a sign of life: every running lease is longer by that time. Only running attempts have one;
-- without the hint all attempts there ever were may be read.
UPDATE attempts FORCE INDEX (attempts_by_lease)
SET lease_until = lease_until + :gap
WHERE lease_until IS NOT NULL
