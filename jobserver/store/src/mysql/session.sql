-- Of every connection. A lock is waited for less long than an answer, so that a wait ends with an error that says so.
SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = 5
