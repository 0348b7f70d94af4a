-- Runs once when the plugin is opened on a replica: people as they are compared, and every key that finds one of them.
-- As open.sqlite.sql, but keys stand in a table of their own instead of indexes: MySQL opens a temporary table only
-- once in a query. Texts are compared byte for byte.

CREATE TEMPORARY TABLE nightshift_scratch.person (
  id INT AUTO_INCREMENT PRIMARY KEY,
  person_id VARCHAR(100) NOT NULL,
  given_name VARCHAR(100), surname VARCHAR(100), street_number VARCHAR(100), address_1 VARCHAR(100),
  address_2 VARCHAR(100), suburb VARCHAR(100), postcode VARCHAR(100), state VARCHAR(100), date_of_birth VARCHAR(100),
  soc_sec_id VARCHAR(100)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

INSERT INTO nightshift_scratch.person
SELECT NULL, person_id,
  nullif(replace(lower(given_name), ' ', ''), ''), nullif(replace(lower(surname), ' ', ''), ''),
  nullif(replace(lower(street_number), ' ', ''), ''),
  nullif(replace(lower(address_1), ' ', ''), ''), nullif(replace(lower(address_2), ' ', ''), ''),
  nullif(replace(lower(suburb), ' ', ''), ''), nullif(replace(lower(postcode), ' ', ''), ''),
  nullif(replace(lower(state), ' ', ''), ''),
  nullif(replace(lower(date_of_birth), ' ', ''), ''), nullif(replace(lower(soc_sec_id), ' ', ''), '')
FROM people;

-- Blanks are gone from the values, so one between two of them cannot be mistaken.
CREATE TEMPORARY TABLE nightshift_scratch.person_key (
  kind TINYINT NOT NULL,
  value VARCHAR(202) NOT NULL,
  id INT NOT NULL,
  PRIMARY KEY (kind, value, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

INSERT INTO nightshift_scratch.person_key
SELECT 1, soc_sec_id, id FROM nightshift_scratch.person WHERE soc_sec_id IS NOT NULL;
INSERT INTO nightshift_scratch.person_key
SELECT 2, date_of_birth, id FROM nightshift_scratch.person WHERE date_of_birth IS NOT NULL;
INSERT INTO nightshift_scratch.person_key
SELECT 3, concat(given_name, ' ', surname), id FROM nightshift_scratch.person
WHERE given_name IS NOT NULL AND surname IS NOT NULL;
INSERT INTO nightshift_scratch.person_key
SELECT 4, concat(given_name, ' ', suburb), id FROM nightshift_scratch.person
WHERE given_name IS NOT NULL AND suburb IS NOT NULL;
INSERT INTO nightshift_scratch.person_key
SELECT 5, concat(surname, ' ', suburb), id FROM nightshift_scratch.person
WHERE surname IS NOT NULL AND suburb IS NOT NULL;
INSERT INTO nightshift_scratch.person_key
SELECT 6, concat(surname, ' ', postcode), id FROM nightshift_scratch.person
WHERE surname IS NOT NULL AND postcode IS NOT NULL;
INSERT INTO nightshift_scratch.person_key
SELECT 7, concat(surname, ' ', street_number), id FROM nightshift_scratch.person
WHERE surname IS NOT NULL AND street_number IS NOT NULL;
INSERT INTO nightshift_scratch.person_key
SELECT 8, concat(address_1, ' ', street_number), id FROM nightshift_scratch.person
WHERE address_1 IS NOT NULL AND street_number IS NOT NULL;
INSERT INTO nightshift_scratch.person_key
SELECT 9, concat(address_2, ' ', suburb), id FROM nightshift_scratch.person
WHERE address_2 IS NOT NULL AND suburb IS NOT NULL;
