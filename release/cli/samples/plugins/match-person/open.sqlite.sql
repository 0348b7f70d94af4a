-- Runs once when the plugin is opened: people as they are compared, with an index for each key that finds candidates.
-- Values are compared in lower case and without blanks ("mac gregor" is "macgregor"); a missing one is NULL, which
-- neither agrees nor disagrees with anything.

CREATE TEMP TABLE person (
  id INTEGER PRIMARY KEY,
  person_id TEXT NOT NULL,
  given_name TEXT, surname TEXT, street_number TEXT, address_1 TEXT, address_2 TEXT,
  suburb TEXT, postcode TEXT, state TEXT, date_of_birth TEXT, soc_sec_id TEXT
);

INSERT INTO person
SELECT NULL, person_id,
  nullif(replace(lower(given_name), ' ', ''), ''), nullif(replace(lower(surname), ' ', ''), ''),
  nullif(replace(lower(street_number), ' ', ''), ''),
  nullif(replace(lower(address_1), ' ', ''), ''), nullif(replace(lower(address_2), ' ', ''), ''),
  nullif(replace(lower(suburb), ' ', ''), ''), nullif(replace(lower(postcode), ' ', ''), ''),
  nullif(replace(lower(state), ' ', ''), ''),
  nullif(replace(lower(date_of_birth), ' ', ''), ''), nullif(replace(lower(soc_sec_id), ' ', ''), '')
FROM people;

CREATE INDEX temp.by_soc_sec_id ON person (soc_sec_id);
CREATE INDEX temp.by_date_of_birth ON person (date_of_birth);
CREATE INDEX temp.by_names ON person (given_name, surname);
CREATE INDEX temp.by_given_name_and_suburb ON person (given_name, suburb);
CREATE INDEX temp.by_surname_and_suburb ON person (surname, suburb);
CREATE INDEX temp.by_surname_and_postcode ON person (surname, postcode);
CREATE INDEX temp.by_surname_and_street_number ON person (surname, street_number);
CREATE INDEX temp.by_street ON person (address_1, street_number);
CREATE INDEX temp.by_house ON person (address_2, suburb);
