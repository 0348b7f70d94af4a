-- The schema of the samples, the one of temporary tables, and the account that reads them. Each statement is run by itself.
DROP DATABASE IF EXISTS nightshift_samples;
CREATE DATABASE nightshift_samples CHARACTER SET utf8mb4;
CREATE DATABASE IF NOT EXISTS nightshift_scratch;
CREATE USER IF NOT EXISTS nightshift_samples@'127.0.0.1';
GRANT SELECT ON nightshift_samples.* TO nightshift_samples@'127.0.0.1';
GRANT CREATE TEMPORARY TABLES ON nightshift_scratch.* TO nightshift_samples@'127.0.0.1';
