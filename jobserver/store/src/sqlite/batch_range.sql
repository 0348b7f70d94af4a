-- The lowest and the highest number of a batch's jobs; NULL when it has none.
SELECT (SELECT id FROM jobs WHERE batch_id = :batch ORDER BY seq LIMIT 1)      AS first,
       (SELECT id FROM jobs WHERE batch_id = :batch ORDER BY seq DESC LIMIT 1) AS last
