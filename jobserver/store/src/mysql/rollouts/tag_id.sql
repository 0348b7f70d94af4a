-- The row is locked: another server that notes the same release waits.
SELECT tag_id FROM rollouts WHERE `release` = :release FOR UPDATE
