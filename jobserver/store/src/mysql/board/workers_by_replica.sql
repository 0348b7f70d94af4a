-- MariaDB has no ->>; what JSON_VALUE gives is text.
SELECT JSON_VALUE(replica, '$.state') AS state, count(*) AS workers,
       max(CAST(JSON_VALUE(replica, '$.behind_ms') AS SIGNED)) AS behind_ms
FROM workers
WHERE replica IS NOT NULL AND last_seen >= :away_before
GROUP BY JSON_VALUE(replica, '$.state')
ORDER BY workers DESC, JSON_VALUE(replica, '$.state')
