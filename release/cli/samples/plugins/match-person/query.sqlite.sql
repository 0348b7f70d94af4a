-- Links each record of the block to the person it denotes.
--
-- 1. Candidates are the people who share one of ten exact keys with the record, so that no single error hides them.
-- 2. Each candidate gets points: about log2 of how much likelier such an agreement is for the same person than for
--    two strangers. Near misses of the numbers get half, disagreement costs a little, a missing value costs nothing.
--    An address never counts for more than 14 points: whole families share one.
-- 3. The best candidate with 12 points or more is the match. Two equally good ones are no match.

WITH
incoming AS MATERIALIZED (
  SELECT record_id,
    nullif(replace(lower(given_name), ' ', ''), '') AS given_name,
    nullif(replace(lower(surname), ' ', ''), '') AS surname,
    nullif(replace(lower(street_number), ' ', ''), '') AS street_number,
    nullif(replace(lower(address_1), ' ', ''), '') AS address_1,
    nullif(replace(lower(address_2), ' ', ''), '') AS address_2,
    nullif(replace(lower(suburb), ' ', ''), '') AS suburb,
    nullif(replace(lower(postcode), ' ', ''), '') AS postcode,
    nullif(replace(lower(state), ' ', ''), '') AS state,
    nullif(replace(lower(date_of_birth), ' ', ''), '') AS date_of_birth,
    nullif(replace(lower(soc_sec_id), ' ', ''), '') AS soc_sec_id
  FROM records
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
    + min(14,
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
  FROM incoming AS r
  LEFT JOIN person AS p ON p.id IN (
    SELECT id FROM person WHERE soc_sec_id = r.soc_sec_id
    UNION ALL SELECT id FROM person WHERE date_of_birth = r.date_of_birth
    UNION ALL SELECT id FROM person WHERE given_name = r.given_name AND surname = r.surname
    UNION ALL SELECT id FROM person WHERE given_name = r.surname AND surname = r.given_name
    UNION ALL SELECT id FROM person WHERE given_name = r.given_name AND suburb = r.suburb
    UNION ALL SELECT id FROM person WHERE surname = r.surname AND suburb = r.suburb
    UNION ALL SELECT id FROM person WHERE surname = r.surname AND postcode = r.postcode
    UNION ALL SELECT id FROM person WHERE surname = r.surname AND street_number = r.street_number
    UNION ALL SELECT id FROM person WHERE address_1 = r.address_1 AND street_number = r.street_number
    UNION ALL SELECT id FROM person WHERE address_2 = r.address_2 AND suburb = r.suburb
  )
),
ranked AS (
  SELECT record_id, person_id, score,
    row_number() OVER best_first AS place,
    lead(score) OVER best_first AS runner_up
  FROM scored
  WINDOW best_first AS (PARTITION BY record_id ORDER BY score DESC)
)
SELECT record_id,
  CASE WHEN score >= 12 AND score IS NOT runner_up THEN score END AS score,
  CASE WHEN score >= 12 AND score IS NOT runner_up THEN person_id END AS person_id
FROM ranked
WHERE place = 1
