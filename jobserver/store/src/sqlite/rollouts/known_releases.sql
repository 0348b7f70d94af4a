SELECT release, tag_id, settings FROM rollouts ORDER BY noted_at DESC, release DESC LIMIT :limit
