SELECT replica ->> 'state' AS state, count(*) AS workers, max(replica ->> 'behind_ms') AS behind_ms
FROM workers
WHERE replica IS NOT NULL AND last_seen >= :away_before
GROUP BY 1
ORDER BY workers DESC, 1
