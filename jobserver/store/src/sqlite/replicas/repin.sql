-- Only as it was read: another server may have done it meanwhile.
UPDATE batches
SET data_primary = :primary, data_gtid = :gtid, data_noted = :noted
WHERE id = :batch AND data_primary = :from_primary
