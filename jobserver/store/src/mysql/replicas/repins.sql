SELECT repinned_at, from_primary, from_gtid, from_noted, to_primary, to_gtid, to_noted, jobs_done
FROM batch_repins
WHERE batch_id = :batch
ORDER BY id
