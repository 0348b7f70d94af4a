-- Counts, for each record, the people whose name contains the record's name, then those for each of its words. Upper
-- and lower case of ASCII letters are the same; % and _ are plain characters; words are parted by blanks.

WITH
word AS MATERIALIZED (
  -- The name as a JSON list of its words: json_quote takes care of every character but the blank.
  SELECT r.record_id, w.key AS position, w.value AS term
  FROM records AS r, json_each('[' || replace(json_quote(lower(r.name)), ' ', '","') || ']') AS w
  WHERE w.value <> ''
),
term AS (
  SELECT lower(name) AS term FROM records
  UNION
  SELECT term FROM word
),
counted AS MATERIALIZED (
  -- The byte FF comes after every character of UTF-8.
  SELECT term, (
    SELECT coalesce(sum(people), 0)
    FROM person_name
    WHERE id IN (SELECT name_id FROM name_tail WHERE tail >= term AND tail < term || CAST(x'FF' AS TEXT))
  ) AS people
  FROM term
)
SELECT r.record_id,
  whole.people AS name_count,
  coalesce((
    SELECT group_concat(counted.people, ' ' ORDER BY word.position)
    FROM word JOIN counted ON counted.term = word.term
    WHERE word.record_id = r.record_id
  ), '') AS word_counts
FROM records AS r
JOIN counted AS whole ON whole.term = lower(r.name)
