-- The last group that was committed. Locked: a commit that was cut off and is still under way is waited for.
SELECT last
FROM group_commits
WHERE writer = :writer
FOR UPDATE
