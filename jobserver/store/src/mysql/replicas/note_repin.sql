INSERT INTO batch_repins (batch_id, repinned_at, from_primary, from_gtid, from_noted, to_primary, to_gtid, to_noted,
                          jobs_done)
VALUES (:batch, :now, :from_primary, :from_gtid, :from_noted, :primary, :gtid, :noted, :jobs_done)
