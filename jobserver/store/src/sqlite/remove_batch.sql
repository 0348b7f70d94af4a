-- A batch that was handed in is being removed from here on: nobody sees it. Not while it has jobs that are not over.
UPDATE batches
SET state = 'abandoned', suspended = NULL
WHERE id = :batch AND (state = 'done' OR state = 'incomplete')
