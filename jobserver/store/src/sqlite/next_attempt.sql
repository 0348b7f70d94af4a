-- The number of the next attempt. Numbers are never used again, so the sequence counts, not the table.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'attempts'), 0) + 1
