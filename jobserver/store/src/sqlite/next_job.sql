-- The waiting job of the highest priority, then the lowest number, among the plugins a worker has: one step into the
-- index for each plugin, however many jobs wait.
SELECT jobs.id
FROM json_each(:plugins) AS plugin
JOIN jobs ON jobs.id = (
    SELECT first.id
    FROM jobs AS first
    WHERE first.state = 'waiting' AND first.plugin = plugin.value
    ORDER BY first.priority DESC, first.id
    LIMIT 1
)
ORDER BY jobs.priority DESC, jobs.id
LIMIT 1
