SELECT tag_id FROM rollouts WHERE release = :release
