-- Links each record of the block to the person it denotes: as query.sqlite.sql, which says how. Here candidates come from
-- one table of keys (open.mysql.sql), because MySQL opens a temporary table only once in a query; a record whose names
-- are swapped is looked up by a key of its own.

WITH
incoming AS (
  SELECT record_id,
    nullif(replace(lower(given_name), ' ', ''), '') COLLATE utf8mb4_bin AS given_name,
    nullif(replace(lower(surname), ' ', ''), '') COLLATE utf8mb4_bin AS surname,
    nullif(replace(lower(street_number), ' ', ''), '') COLLATE utf8mb4_bin AS street_number,
    nullif(replace(lower(address_1), ' ', ''), '') COLLATE utf8mb4_bin AS address_1,
    nullif(replace(lower(address_2), ' ', ''), '') COLLATE utf8mb4_bin AS address_2,
    nullif(replace(lower(suburb), ' ', ''), '') COLLATE utf8mb4_bin AS suburb,
    nullif(replace(lower(postcode), ' ', ''), '') COLLATE utf8mb4_bin AS postcode,
    nullif(replace(lower(state), ' ', ''), '') COLLATE utf8mb4_bin AS state,
    nullif(replace(lower(date_of_birth), ' ', ''), '') COLLATE utf8mb4_bin AS date_of_birth,
    nullif(replace(lower(soc_sec_id), ' ', ''), '') COLLATE utf8mb4_bin AS soc_sec_id
  FROM records
),
kinds (kind, lookup) AS (
  SELECT 1, 1 UNION ALL SELECT 2, 2 UNION ALL SELECT 3, 3 UNION ALL SELECT 3, 10 UNION ALL SELECT 4, 4
  UNION ALL SELECT 5, 5 UNION ALL SELECT 6, 6 UNION ALL SELECT 7, 7 UNION ALL SELECT 8, 8 UNION ALL SELECT 9, 9
),
-- A key of which a part is missing is NULL and finds nobody.
record_key AS (
  SELECT record_id, kind,
    CAST(CASE lookup
      WHEN 1 THEN soc_sec_id
      WHEN 2 THEN date_of_birth
      WHEN 3 THEN concat(given_name, ' ', surname)
      WHEN 4 THEN concat(given_name, ' ', suburb)
      WHEN 5 THEN concat(surname, ' ', suburb)
      WHEN 6 THEN concat(surname, ' ', postcode)
      WHEN 7 THEN concat(surname, ' ', street_number)
      WHEN 8 THEN concat(address_1, ' ', street_number)
      WHEN 9 THEN concat(address_2, ' ', suburb)
      WHEN 10 THEN concat(surname, ' ', given_name)
    END AS CHAR(202)) COLLATE utf8mb4_bin AS value
  FROM incoming CROSS JOIN kinds
),
candidate AS (
  SELECT DISTINCT k.record_id, pk.id
  FROM record_key AS k STRAIGHT_JOIN nightshift_scratch.person_key AS pk ON pk.kind = k.kind AND pk.value = k.value
),
scored AS (
  SELECT r.record_id, p.person_id,
    -- Number: one wrong digit leaves six of seven places right, two swapped ones five.
    CASE
      WHEN r.soc_sec_id = p.soc_sec_id THEN 12
      WHEN (substr(r.soc_sec_id, 1, 1) = substr(p.soc_sec_id, 1, 1))
         + (substr(r.soc_sec_id, 2, 1) = substr(p.soc_sec_id, 2, 1))
         + (substr(r.soc_sec_id, 3, 1) = substr(p.soc_sec_id, 3, 1))
         + (substr(r.soc_sec_id, 4, 1) = substr(p.soc_sec_id, 4, 1))
         + (substr(r.soc_sec_id, 5, 1) = substr(p.soc_sec_id, 5, 1))
         + (substr(r.soc_sec_id, 6, 1) = substr(p.soc_sec_id, 6, 1))
         + (substr(r.soc_sec_id, 7, 1) = substr(p.soc_sec_id, 7, 1))
         >= 5 THEN 7
      WHEN r.soc_sec_id <> p.soc_sec_id THEN -4
      ELSE 0
    END
    -- Date of birth, YYYYMMDD: nearly everybody shares the century, so it is not compared.
    + CASE
      WHEN r.date_of_birth = p.date_of_birth THEN 9
      WHEN r.date_of_birth <> p.date_of_birth THEN
        CASE
          (substr(r.date_of_birth, 3, 1) = substr(p.date_of_birth, 3, 1))
          + (substr(r.date_of_birth, 4, 1) = substr(p.date_of_birth, 4, 1))
          + (substr(r.date_of_birth, 5, 1) = substr(p.date_of_birth, 5, 1))
          + (substr(r.date_of_birth, 6, 1) = substr(p.date_of_birth, 6, 1))
          + (substr(r.date_of_birth, 7, 1) = substr(p.date_of_birth, 7, 1))
          + (substr(r.date_of_birth, 8, 1) = substr(p.date_of_birth, 8, 1))
          WHEN 5 THEN 5 WHEN 4 THEN 1 ELSE -3
        END
      ELSE 0
    END
    + CASE
      WHEN r.given_name = p.given_name THEN 5
      WHEN r.given_name = p.surname THEN 4
      WHEN substr(r.given_name, 1, 3) = substr(p.given_name, 1, 3) THEN 2
      WHEN r.given_name <> p.given_name THEN -3
      ELSE 0
    END
    + CASE
      WHEN r.surname = p.surname THEN 6
      WHEN r.surname = p.given_name THEN 5
      WHEN substr(r.surname, 1, 3) = substr(p.surname, 1, 3) THEN 3
      WHEN r.surname <> p.surname THEN -3
      ELSE 0
    END
    + least(14,
      CASE WHEN r.street_number = p.street_number THEN 3 WHEN r.street_number <> p.street_number THEN -1 ELSE 0 END
      + CASE
        WHEN r.address_1 = p.address_1 THEN 6
        WHEN r.address_1 = p.address_2 THEN 5
        WHEN substr(r.address_1, 1, 4) = substr(p.address_1, 1, 4) THEN 4
        WHEN r.address_1 <> p.address_1 THEN -1
        ELSE 0
      END
      + CASE
        WHEN r.address_2 = p.address_2 THEN 6
        WHEN r.address_2 = p.address_1 THEN 5
        WHEN substr(r.address_2, 1, 4) = substr(p.address_2, 1, 4) THEN 4
        WHEN r.address_2 <> p.address_2 THEN -1
        ELSE 0
      END
      + CASE
        WHEN r.suburb = p.suburb THEN 5
        WHEN substr(r.suburb, 1, 4) = substr(p.suburb, 1, 4) THEN 3
        WHEN r.suburb <> p.suburb THEN -1
        ELSE 0
      END
      + CASE
        WHEN r.postcode = p.postcode THEN 4
        WHEN substr(r.postcode, 1, 2) = substr(p.postcode, 1, 2) THEN 1
        WHEN r.postcode <> p.postcode THEN -1
        ELSE 0
      END
      + CASE WHEN r.state = p.state THEN 1 WHEN r.state <> p.state THEN -1 ELSE 0 END
    ) AS score
  FROM candidate AS c
  JOIN incoming AS r ON r.record_id = c.record_id
  JOIN nightshift_scratch.person AS p ON p.id = c.id
),
ranked AS (
  SELECT record_id, person_id, score,
    row_number() OVER (PARTITION BY record_id ORDER BY score DESC) AS place,
    lead(score) OVER (PARTITION BY record_id ORDER BY score DESC) AS runner_up
  FROM scored
)
SELECT r.record_id,
  CASE WHEN b.score >= 12 AND NOT (b.score <=> b.runner_up) THEN b.score END AS score,
  CASE WHEN b.score >= 12 AND NOT (b.score <=> b.runner_up) THEN b.person_id END AS person_id
FROM records AS r
LEFT JOIN ranked AS b ON b.record_id = r.record_id AND b.place = 1
