SELECT records.data, results.result
FROM records
JOIN results ON results.record_id = records.id
ORDER BY records.id
