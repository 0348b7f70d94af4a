SELECT release, ring, reason, halted_at
FROM rollout_halts
WHERE release IN (SELECT value FROM json_each(:releases))
ORDER BY halted_at, release, ring
