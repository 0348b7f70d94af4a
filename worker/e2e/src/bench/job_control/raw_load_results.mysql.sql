LOAD DATA INFILE 'FILE' INTO TABLE results CHARACTER SET utf8mb4 (record_id, result)
