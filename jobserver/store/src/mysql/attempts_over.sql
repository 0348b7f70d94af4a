-- Running attempts whose lease is over, the longest first. All that run are looked through, by the one index that has only
-- them: an index by lease alone would change twice with every job. Nothing is locked here: each is judged again by its row
-- once that is locked. SQLite has an index by lease, of running attempts only.
SELECT id
FROM attempts FORCE INDEX (attempts_running)
WHERE runs_on IS NOT NULL AND lease_until <= :now
ORDER BY lease_until
LIMIT :limit
