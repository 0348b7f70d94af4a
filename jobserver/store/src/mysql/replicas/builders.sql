SELECT worker, until FROM rebuilds
