SELECT worker, name, host, machine, credential, address, asked_at, join_token, state, reason, decided_at, decided_by
FROM enrolments
WHERE changed > :after
ORDER BY worker
