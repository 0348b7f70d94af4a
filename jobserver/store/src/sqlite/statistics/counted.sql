SELECT minute FROM worker_time_counted WHERE id = 1
