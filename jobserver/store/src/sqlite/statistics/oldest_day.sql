SELECT began FROM work_done WHERE span_ms = 86400000 AND began < :before ORDER BY began LIMIT 1
