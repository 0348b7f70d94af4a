SELECT release, worker, state, samples_passed, samples_failed
FROM rollout_trials
WHERE release IN (SELECT value FROM json_each(:releases))
ORDER BY release, worker
