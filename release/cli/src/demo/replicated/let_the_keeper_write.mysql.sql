-- MySQL keeps even the keeper from writing to a replica.
SET GLOBAL super_read_only = OFF
