SELECT number FROM access_changes
