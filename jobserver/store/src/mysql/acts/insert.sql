INSERT INTO acts (done_at, done_by, did, why) VALUES (:at, :by, :did, :why)
