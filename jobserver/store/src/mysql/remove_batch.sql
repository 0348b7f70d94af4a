-- A batch that was handed in is being removed from here on: nobody sees it. Not while it has jobs that are not over. Should
-- the server that removes it die, another goes on (unfinished_batches.sql).
UPDATE batches
SET state = 'abandoned', suspended = NULL, receiver = :receiver
WHERE id = :batch AND (state = 'done' OR state = 'incomplete')
