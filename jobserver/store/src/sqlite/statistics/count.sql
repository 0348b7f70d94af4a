UPDATE worker_time_counted SET minute = :minute WHERE id = 1
