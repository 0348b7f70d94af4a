INSERT INTO sessions (hash, token_hash, opened_at, expires_at) VALUES (:hash, :token_hash, :opened_at, :expires_at)
