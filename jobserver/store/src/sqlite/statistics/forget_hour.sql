DELETE FROM work_done WHERE span_ms = 3600000 AND began = :hour
