LOAD DATA INFILE 'PATH' INTO TABLE results CHARACTER SET utf8mb4 (record_id, result)
