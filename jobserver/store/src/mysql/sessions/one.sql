SELECT hash, token_hash, opened_at, expires_at FROM sessions WHERE hash = :hash
