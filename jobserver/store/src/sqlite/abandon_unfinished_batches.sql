-- The server that took them in is gone: there is one at a time. On MySQL each goes by itself, when its own server is known to
-- be gone (abandon_batch.sql).
UPDATE batches
SET state = 'abandoned'
WHERE state = 'receiving'
