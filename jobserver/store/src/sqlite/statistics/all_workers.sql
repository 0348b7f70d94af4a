SELECT count(DISTINCT worker) AS workers
FROM work_done
WHERE span_ms IN (3600000, 86400000) AND began >= :since AND began < :until AND jobs > 0
