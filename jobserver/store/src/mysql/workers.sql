SELECT worker, host, state, reason, `release`, refused, steps, address, first_seen, last_seen, jobs_done, records_done
FROM workers
ORDER BY last_seen DESC, worker
