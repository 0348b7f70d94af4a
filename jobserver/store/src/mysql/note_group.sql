-- The group's own mark, committed with it: whoever finds it knows that the whole group is there.
INSERT INTO group_commits (writer, last)
VALUES (:writer, :group)
ON DUPLICATE KEY UPDATE last = :group
