-- By the digest of the requirements, which is what the key holds; SQLite compares the text.
SELECT id, batch_id, plugin, priority, requirements
FROM lanes
WHERE batch_id = :batch AND plugin = :plugin AND priority = :priority AND digest = SHA2(:requirements, 256)
