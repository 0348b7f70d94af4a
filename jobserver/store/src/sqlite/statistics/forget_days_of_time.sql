DELETE FROM worker_time WHERE span_ms = 86400000 AND began < :before
