-- The row's lock makes the changes of all servers follow one another.
UPDATE access_changes SET number = number + 1
