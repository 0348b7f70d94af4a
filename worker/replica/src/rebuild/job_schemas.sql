-- The schemas that hold job tables: workers copy none of them.
SELECT table_schema FROM information_schema.tables
WHERE table_name IN ('jobs', 'job_records', 'job_results')
GROUP BY table_schema HAVING COUNT(*) = 3
