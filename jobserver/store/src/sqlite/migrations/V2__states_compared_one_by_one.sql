-- The same rules, written so that SQLite checks them fast. For `state IN (…)` with more than two words it builds and
-- drops a temporary index each time a row is written; compared one by one the words cost next to nothing.
--
-- No row changes, and so only the text of the tables does: the procedure that SQLite documents for such changes
-- (https://www.sqlite.org/lang_altertable.html, at its end).

PRAGMA writable_schema = ON;

UPDATE sqlite_schema
SET sql = replace(
    sql,
    'state IN (''receiving'', ''abandoned'', ''open'', ''done'', ''incomplete'')',
    'state = ''receiving'' OR state = ''abandoned'' OR state = ''open'' OR state = ''done'' OR state = ''incomplete'''
)
WHERE type = 'table' AND name = 'batches';

UPDATE sqlite_schema
SET sql = replace(
    sql,
    'state IN (''receiving'', ''waiting'', ''running'', ''done'', ''quarantined'')',
    'state = ''receiving'' OR state = ''waiting'' OR state = ''running'' OR state = ''done'' OR state = ''quarantined'''
)
WHERE type = 'table' AND name = 'jobs';

UPDATE sqlite_schema
SET sql = replace(
    sql,
    'state IN (''running'', ''lost'', ''given_back'', ''accepted'', ''superseded'')',
    'state = ''running'' OR state = ''lost'' OR state = ''given_back'' OR state = ''accepted'' OR state = ''superseded'''
)
WHERE type = 'table' AND name = 'attempts';

PRAGMA writable_schema = RESET;
