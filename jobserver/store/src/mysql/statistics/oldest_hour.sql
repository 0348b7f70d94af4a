SELECT began FROM work_done WHERE span_ms = 3600000 AND began < :before ORDER BY began LIMIT 1
