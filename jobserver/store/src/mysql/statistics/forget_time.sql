DELETE FROM worker_time WHERE span_ms = 3600000 AND began = :hour
