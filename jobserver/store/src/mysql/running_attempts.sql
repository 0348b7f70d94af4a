-- Running attempts on workers' names: only these have a lease. SQLite asks for one worker at a time. The parenthesis is
-- repeated.
SELECT id, worker
FROM attempts FORCE INDEX (attempts_by_worker)
WHERE worker IN (?) AND lease_until IS NOT NULL
