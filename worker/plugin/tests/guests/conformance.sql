-- Does what the first letter of each record says: see conformance.rs. Input: what (text), n (integer), x (real). Output:
-- said, whole, part of the same types.
SELECT
  CASE substr(what, 1, 1) WHEN 'f' THEN 999 ELSE record_id END AS record_id,
  CASE substr(what, 1, 1)
    WHEN 'u' THEN CAST(x'ff' AS TEXT)
    WHEN 'b' THEN hex(zeroblob(2621440 + length(what)))
    WHEN 'l' THEN hex(zeroblob(1835000 + length(what)))
    WHEN 'p' THEN json_extract('{' || what, '$')
    WHEN 'h' THEN (WITH RECURSIVE i (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i) SELECT count(*) FROM i)
    ELSE what
  END AS said,
  CASE substr(what, 1, 1) WHEN 'w' THEN what ELSE n END AS whole,
  x AS part,
  CASE substr(what, 1, 1) WHEN 'e' THEN what END AS error
FROM records, (SELECT 1 AS time UNION ALL SELECT 2)
WHERE substr(what, 1, 1) <> 'm' AND (time = 1 OR substr(what, 1, 1) = 't')
