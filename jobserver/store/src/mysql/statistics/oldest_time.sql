SELECT began FROM worker_time WHERE span_ms = 3600000 AND began < :before ORDER BY began LIMIT 1
