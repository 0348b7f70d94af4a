-- One row for each record of the block: record_id, then every output column of plugin.toml.
-- `records` holds the block: record_id and the input columns. Data tables stand beside it under their own names.
-- A further column `error` makes a record fail with that text where it is not NULL.
SELECT
    record_id,
    upper(name)  AS shouted,
    length(name) AS letters
FROM records
