-- Whether the news have arrived.
SELECT id FROM company.news WHERE id = ?
