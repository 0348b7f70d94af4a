-- The schemas that the account sees, without those that every server has of its own.
SELECT schema_name FROM information_schema.schemata
WHERE schema_name NOT IN
  ('information_schema', 'mysql', 'performance_schema', 'sys', 'nightshift_samples', '{scratch}')
ORDER BY schema_name
