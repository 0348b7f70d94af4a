-- The row's lock makes servers give permits one after the other. SQLite has one writer.
UPDATE rebuild_turn SET number = number + 1
