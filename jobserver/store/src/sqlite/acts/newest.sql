SELECT id, done_at, done_by, did, why FROM acts WHERE id < :before ORDER BY id DESC LIMIT :limit
