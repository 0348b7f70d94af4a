-- Runs once when the plugin is opened: every different name with the number of people who bear it, and every tail of
-- every name ("anna", "nna", "na", "a") in order. A name contains a term exactly when one of its tails begins with it,
-- and tails that begin alike stand side by side: counting needs no look at the other names.

CREATE TEMP TABLE person_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL, people INTEGER NOT NULL);

INSERT INTO person_name (name, people)
SELECT lower(trim(given_name || ' ' || surname)) AS name, count(*)
FROM people
GROUP BY name;

CREATE TEMP TABLE name_tail (tail TEXT NOT NULL, name_id INTEGER NOT NULL, PRIMARY KEY (tail, name_id)) WITHOUT ROWID;

-- A name without characters has one tail too, the empty one.
INSERT OR IGNORE INTO name_tail
WITH RECURSIVE start (name_id, name, position) AS (
  SELECT id, name, 1 FROM person_name
  UNION ALL
  SELECT name_id, name, position + 1 FROM start WHERE position < length(name)
)
SELECT substr(name, position), name_id FROM start ORDER BY 1, 2;
