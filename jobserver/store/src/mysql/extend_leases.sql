-- No server was there to hear a sign of life: every running lease is longer by that time. Only running attempts have one;
-- without the hint all attempts there ever were may be read.
UPDATE attempts FORCE INDEX (attempts_running)
SET lease_until = lease_until + :gap
WHERE runs_on IS NOT NULL
