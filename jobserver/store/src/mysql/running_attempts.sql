-- Running attempts on workers' names. SQLite asks for one worker at a time. The parenthesis is repeated.
SELECT id, worker
FROM attempts FORCE INDEX (attempts_running)
WHERE runs_on IN (?)
