SELECT release, count(*) AS workers FROM workers WHERE last_seen >= :away_before GROUP BY release ORDER BY workers DESC, release
