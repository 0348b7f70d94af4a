INSERT INTO rollouts (release, tag_id, settings, noted_at) VALUES (:release, :tag_id, :settings, :now)
ON CONFLICT (release) DO UPDATE SET tag_id = :tag_id, settings = :settings, noted_at = :now
