-- Takes the next numbers; the first of them is the answer's insert id. SQLite reads its own sequence (next_record.sql).
UPDATE numbers
SET next = LAST_INSERT_ID(next) + :count
WHERE name = :name
