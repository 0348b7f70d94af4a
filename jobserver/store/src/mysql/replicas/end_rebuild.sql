DELETE FROM rebuilds WHERE worker = :worker
