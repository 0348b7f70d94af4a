UPDATE sessions SET expires_at = opened_at + 1
