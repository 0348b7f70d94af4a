SELECT id, job_id, secret, worker, state, revision, lease_ms
FROM attempts
WHERE id = :attempt
