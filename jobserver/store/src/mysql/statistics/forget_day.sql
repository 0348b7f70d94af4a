DELETE FROM work_done WHERE span_ms = 86400000 AND began = :day
